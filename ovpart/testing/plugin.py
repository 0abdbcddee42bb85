"""The pytest plugin: a device for the whole run, plans and sessions as fixtures, reports beside failures.

pytest loads this wherever ovpart is installed, so that it imports nothing but pytest until a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ovpart.partition.plan import Plan
    from ovpart.session import Session

_INI = "ovpart_device"
_SHOWN = pytest.StashKey[list[Callable[[], str]]]()
"""What a test made, told as text if it fails."""
_UPDATE = "OVPART_UPDATE_PLANS"
_BEFORE = pytest.StashKey[str | None]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the flags of the command line and their counterpart in the configuration file."""
    group = parser.getgroup("ovpart", "models on Intel devices (ovpart)")
    group.addoption(
        "--ovpart-device",
        metavar="DEVICES",
        help="devices that tests with the fixture ovpart_device are run for, with commas between them (CPU,GPU)",
    )
    group.addoption(
        "--ovpart-emulate",
        action="store_true",
        help="sessions for a device that is not on this machine run on the CPU instead of being skipped",
    )
    group.addoption("--ovpart-update", action="store_true", help="write golden plans anew instead of comparing them")
    parser.addini(_INI, "devices for the fixture ovpart_device where --ovpart-device is not given", default="CPU")


def pytest_configure(config: pytest.Config) -> None:
    """Hand the wish to update on to :func:`ovpart.testing.assert_same_plan`, wherever it is called from."""
    config.stash[_BEFORE] = os.environ.get(_UPDATE)
    if config.getoption("--ovpart-update"):
        os.environ[_UPDATE] = "1"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the environment as it was."""
    before = config.stash.get(_BEFORE, None)
    if before is None:
        os.environ.pop(_UPDATE, None)
    else:
        os.environ[_UPDATE] = before


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the devices, where somebody has."""
    if config.getoption("--ovpart-device") is None and config.getini(_INI) == "CPU":
        return None
    import ovpart

    return f"ovpart {ovpart.__version__}: device {', '.join(_devices(config))}"


def _devices(config: pytest.Config) -> list[str]:
    told = config.getoption("--ovpart-device") or config.getini(_INI)
    devices = [device.strip() for device in told.split(",") if device.strip()]
    if not devices:
        raise pytest.UsageError("--ovpart-device names no device: write CPU, GPU, GPU.0, NPU or several with commas")
    return devices


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each device, and with ``ovpart_op_case`` once for each operator and version."""
    devices = _devices(metafunc.config)
    if "ovpart_op_case" in metafunc.fixturenames:
        from ovpart.testing.table_cases import op_cases

        cases = [(device, case) for device in devices for case in op_cases(device)]
        if "ovpart_device" in metafunc.fixturenames:
            names, ids = ("ovpart_device", "ovpart_op_case"), [f"{d}-{c}" for d, c in cases]
            metafunc.parametrize(names, cases, ids=ids, indirect=["ovpart_device"])
        else:
            metafunc.parametrize("ovpart_op_case", [c for _, c in cases], ids=[f"{d}-{c}" for d, c in cases])
    elif "ovpart_device" in metafunc.fixturenames:
        metafunc.parametrize("ovpart_device", devices, indirect=True)


@pytest.fixture
def ovpart_device(request: pytest.FixtureRequest) -> str:
    """Return the device of the run; a test that asks for it runs once for each of ``--ovpart-device``."""
    device: str = getattr(request, "param", None) or _devices(request.config)[0]
    return device


@pytest.fixture
def ovpart_plan(request: pytest.FixtureRequest, ovpart_device: str) -> Callable[..., Plan]:
    """Plan models for the device of the run: ``ovpart_plan(model, **options)``; its report stands beside a failure."""
    from ovpart.model.read import read_model
    from ovpart.planning import plan
    from ovpart.report.model import make_report

    def make(model: Any, **options: Any) -> Plan:
        read = read_model(model)
        made = plan(read, **{"device": ovpart_device, **options})
        _shown(request.node).append(lambda: str(make_report(made, read)))
        return made

    return make


@pytest.fixture
def ovpart_session(request: pytest.FixtureRequest, ovpart_device: str) -> Iterator[Callable[..., Session]]:
    """Make sessions on the device of the run and close them: ``ovpart_session(model, **options)``.

    A test on a device that is not on this machine is skipped, unless ``--ovpart-emulate`` is given.
    """
    from ovpart.errors import DeviceNotFound
    from ovpart.session import Session

    opened: list[Session] = []
    emulate = bool(request.config.getoption("--ovpart-emulate"))

    def make(model: Any, **options: Any) -> Session:
        wanted = {"device": ovpart_device, **options}
        try:
            session = Session(model, **wanted)
        except DeviceNotFound as missing:
            if not emulate:
                pytest.skip(str(missing))
            session = Session(model, **{**wanted, "emulate": True})
        opened.append(session)
        _shown(request.node).append(lambda: str(session.report))
        return session

    yield make
    for session in opened:
        session.close()


def _shown(item: pytest.Item) -> list[Callable[[], str]]:
    return item.stash.setdefault(_SHOWN, [])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the reports of what a failed test has made beside its failure."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections.extend(("ovpart report", text()) for text in item.stash.get(_SHOWN, []))
    return report
