"""Every backend of ovpart passes the suite that third parties' backends must pass."""

from __future__ import annotations

import pytest

from ovpart.backend.fake import FakeBackend
from ovpart.backend.onnxruntime import OnnxRuntimeBackend
from ovpart.backend.openvino import OpenVINOBackend
from ovpart.backend.reference import ReferenceBackend
from ovpart.testing.backend_suite import BackendSuite


class TestOpenVINO(BackendSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return OpenVINOBackend()

    @pytest.fixture
    def config(self):
        return {"num_threads": 1}


class TestOpenVINOWithDefaults(TestOpenVINO):
    @pytest.fixture
    def config(self):
        return {}


class TestOpenVINOWithOneStreamOfOneThread(TestOpenVINO):
    """Where openvino's synchronous infer loses errors."""

    @pytest.fixture
    def config(self):
        return {"num_threads": 1, "NUM_STREAMS": 1}


class TestOnnxRuntime(BackendSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return OnnxRuntimeBackend()

    @pytest.fixture
    def config(self):
        return {"num_threads": 1}


class TestReference(BackendSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return ReferenceBackend()


class TestFake(BackendSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls):
        return FakeBackend()
