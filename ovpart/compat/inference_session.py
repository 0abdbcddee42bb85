"""``InferenceSession`` with onnxruntime's arguments and methods, over :class:`ovpart.Session`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Array
from ovpart.compat.applied import applied, with_model_config
from ovpart.compat.asynchronous import Runner
from ovpart.compat.binding import IOBinding
from ovpart.compat.contexts import write_if_asked
from ovpart.compat.details import SessionDetails
from ovpart.compat.errors import as_onnxruntime
from ovpart.compat.metadata import ModelMetadata, metadata_of
from ovpart.compat.optimised import write_optimised
from ovpart.compat.priorities import CPU, Priorities, Providers, prioritise
from ovpart.compat.profiling import Profile
from ovpart.compat.session_options import SessionOptions
from ovpart.compat.values import from_array, to_array
from ovpart.compat.warn import warn
from ovpart.errors import OptionError, OvpartError
from ovpart.model.read import read_model
from ovpart.runtime.node_args import NodeArg
from ovpart.runtime.oversight import Oversight
from ovpart.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovpart.backend.remote import RemoteTensor
    from ovpart.report.model import Report
    from ovpart.runtime.admission import Sharing


class InferenceSession(SessionDetails):
    """A session with onnxruntime's face: an existing program runs with only its import changed.

    Parameters
    ----------
    path_or_bytes : path or bytes
        The model; an ``onnx.ModelProto`` too.
    sess_options : SessionOptions, optional
        Of :mod:`ovpart.compat.onnxruntime`, or onnxruntime's own.
    providers : sequence of str or (str, dict), optional
        In order of priority. Without any, ``OpenVINOExecutionProvider`` on the CPU comes first;
        ``["CPUExecutionProvider"]`` runs all on onnxruntime.
    provider_options : sequence of dict, optional
        One a provider, where `providers` are names alone.
    **kwargs
        ``enable_fallback`` (default 1): whether a device that cannot be had is answered with onnxruntime's CPU engine
        and a warning. ``disabled_optimizers``: names of onnxruntime's optimisers. ``pool``: an
        :class:`ovpart.Pool`, whose threads it then shares.

    Raises
    ------
    ModelError, OptionError, DeviceNotFound, CompileError
        Each is onnxruntime's error as well: a missing file ``NoSuchFile``, a broken one ``InvalidProtobuf`` or
        ``InvalidGraph``.

    Examples
    --------
    >>> session = InferenceSession("model.onnx", providers=["OpenVINOExecutionProvider"])  # doctest: +SKIP
    >>> session.run(None, {"image": image})  # doctest: +SKIP
    """

    def __init__(
        self,
        path_or_bytes: str | bytes | os.PathLike[str],
        sess_options: Any = None,
        providers: Providers = None,
        provider_options: Sequence[Mapping[Any, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self._enable_fallback = int(kwargs.get("enable_fallback", 1)) == 1
        self._given = path_or_bytes
        reads = kwargs.get("read_config_from_model", os.environ.get("ORT_LOAD_CONFIG_FROM_MODEL"))
        self._reads_config = str(reads) in ("1", "True")
        self._sess_options = SessionOptions() if sess_options is None else sess_options
        self._disabled_optimizers = sorted(kwargs.get("disabled_optimizers") or ())
        self._pool: Sharing | None = kwargs.get("pool")
        self._runner = Runner()
        self._open_or_fall_back(providers, provider_options)

    def _open_or_fall_back(self, providers: Providers, options: Sequence[Mapping[Any, Any]] | None) -> None:
        try:
            self._open(providers, options)
        except (ValueError, RuntimeError) as error:
            if not self._enable_fallback:
                raise
            warn(f"{error} (with providers={providers!r}). Falling back to {CPU}.")
            self._open([CPU], None)
            self.disable_fallback()

    def _open(self, providers: Providers, options: Sequence[Mapping[Any, Any]] | None) -> None:
        """Make the session; what was there before stays where that fails."""
        with _onnxruntime_errors():
            priorities = prioritise(providers, options)
            if self._reads_config:
                told = metadata_of(read_model(self._given)).custom_metadata_map
                self._sess_options = with_model_config(self._sess_options, told)
            keywords = {**applied(self._sess_options, self._disabled_optimizers), **priorities.keywords}
            profile = Profile(self._sess_options)
            oversight = Oversight(profile.trace, raises_failures=not self._enable_fallback)
            with profile.noting("session_initialization", providers=", ".join(priorities.options)):
                session = Session(self._given, oversight=oversight, pool=self._pool, **keywords)
            write_if_asked(session, getattr(self._sess_options, "config_entries", {}))
            write_optimised(self._given, self._sess_options)
        self._session = session
        self._profile = profile
        self._oversight = oversight
        self._priorities: Priorities = priorities
        self._inputs = session.get_inputs()
        self._outputs = session.get_outputs()

    @property
    def report(self) -> Report:
        """What went where and why: :attr:`ovpart.Session.report`."""
        return self._session.report

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array], run_options: Any = None
    ) -> list[Array]:
        """Compute outputs.

        Parameters
        ----------
        output_names : sequence of str or None
            All, in the model's order, if None or empty.
        input_feed : mapping of str to array
            Arrays, lists, ``OrtValue``s; sequences as lists, empty optionals as ``None``.
        run_options : RunOptions, optional
            Of :mod:`ovpart.compat.onnxruntime`, or onnxruntime's own.

        Raises
        ------
        InputError
            Which is a ``ValueError``, and onnxruntime's ``InvalidArgument`` where onnxruntime raises that.
        RunError
            Which is onnxruntime's error too.
        """
        try:
            for value in input_feed.values():
                if hasattr(value, "_ortvalue"):
                    input_feed = _without_ort_values(input_feed)
                    break
            return self._compute(output_names, input_feed, run_options)
        except OvpartError as error:
            raise as_onnxruntime(error) from error.__cause__

    def run_async(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Array],
        callback: Callable[[list[Array], Any, str], None],
        user_data: Any,
        run_options: Any = None,
    ) -> None:
        """Compute outputs in another thread.

        Parameters
        ----------
        output_names, input_feed, run_options
            As for :meth:`run`. Arrays must not change until the run is over.
        callback : callable
            Called there as ``callback(results, user_data, error)``: with an empty error, or with the error's words and
            no results. The session stays alive until then.
        user_data : object
            Handed to `callback`.
        """
        self._runner.start(lambda: self.run(output_names, input_feed, run_options), callback, user_data)

    def run_with_ort_values(
        self, output_names: Sequence[str] | None, input_dict_ort_values: Mapping[str, Any], run_options: Any = None
    ) -> list[Any]:
        """Compute outputs from ``OrtValue``s, as ``OrtValue``s; raises as :meth:`run`."""
        with _onnxruntime_errors():
            feed = {name: to_array(value) for name, value in input_dict_ort_values.items()}
            arrays = self._compute(output_names, feed, run_options)
            types = {value.name: value.type for value in self._outputs}
            names = output_names or list(types)
            return [from_array(array, types[name]) for name, array in zip(names, arrays, strict=True)]

    def run_with_ortvaluevector(
        self,
        run_options: Any,
        feed_names: Sequence[str],
        feeds: Sequence[Any],
        fetch_names: Sequence[str],
        fetches: Any,
        fetch_devices: Sequence[Any],
    ) -> None:
        """Compute outputs from a vector of ``OrtValue``s into another one; raises as :meth:`run`.

        ``fetch_devices`` must all be the CPU: there is no other memory.
        """
        from ovpart.compat.values import OrtValue

        given = {name: OrtValue(value) for name, value in zip(feed_names, feeds, strict=True)}
        for value in self.run_with_ort_values(fetch_names, given, run_options):
            fetches.push_back(value._ortvalue)

    def io_binding(self) -> IOBinding:
        """Return a binding of inputs and outputs for :meth:`run_with_iobinding`."""
        return IOBinding(self)

    def run_with_iobinding(self, iobinding: IOBinding, run_options: Any = None) -> None:
        """Compute what a binding asks for, from what it binds; raises as :meth:`run`."""
        with _onnxruntime_errors():
            if iobinding.session is not self:
                message = "IOBinding must be used with the session that created it."
                raise OptionError(message)
            targets = iobinding.remote()
            if targets is None:
                iobinding.take(self._compute(iobinding.outputs(), iobinding.feed(), run_options))
            else:
                names = iobinding.outputs()
                iobinding.take(self._session.run_bound(iobinding.feed(), targets, names, run_options))

    def read(self, tensor: RemoteTensor) -> Array:
        """Return a copy of what lies in the memory of a device; raises as :meth:`run`."""
        with _onnxruntime_errors():
            return self._session.read(tensor)

    def get_inputs(self) -> list[NodeArg]:
        """Return name, type and shape of the inputs that every run needs."""
        return self._inputs

    def get_outputs(self) -> list[NodeArg]:
        """Return name, type and shape of the outputs."""
        return self._outputs

    def get_overridable_initializers(self) -> list[NodeArg]:
        """Return name, type and shape of the inputs that have a default."""
        return self._session.get_overridable_initializers()

    def get_modelmeta(self) -> ModelMetadata:
        """Return what the model says of itself."""
        return metadata_of(self._session.model)

    def get_session_options(self) -> Any:
        """Return the session options."""
        return self._sess_options

    def get_providers(self) -> list[str]:
        """Return the providers in order of priority."""
        return list(self._priorities.options)

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """Return the options of each provider, as text."""
        return {name: dict(options) for name, options in self._priorities.options.items()}

    def set_providers(
        self, providers: Providers = None, provider_options: Sequence[Mapping[Any, Any]] | None = None
    ) -> None:
        """Make the session anew with other providers; where that fails, it stays as it was.

        Raises
        ------
        OptionError
            If the providers are not well formed.
        UnknownProvider
            Which is a ``RuntimeError``, if there is no such provider.
        """
        self._open(providers, provider_options)

    def enable_fallback(self) -> None:
        """Let onnxruntime's CPU engine answer where a device fails."""
        self._enable_fallback = True
        self._oversight.raises_failures = False

    def disable_fallback(self) -> None:
        """Raise where a device fails."""
        self._enable_fallback = False
        self._oversight.raises_failures = True

    def get_profiling_start_time_ns(self) -> int:
        """Return when profiling began, comparable to :func:`time.monotonic_ns`."""
        return self._profile.start_ns

    def end_profiling(self) -> str:
        """Write the profile and stop profiling.

        Returns
        -------
        str
            The name of a file that trace viewers read: each run, and each cluster in it. Empty without
            ``SessionOptions.enable_profiling``.
        """
        self._oversight.trace = None
        return self._profile.end()

    def close(self) -> None:
        """Let go of engines and memory; runs under way come to their end, later ones raise."""
        self._session.close()

    def _compute(self, output_names: Sequence[str] | None, feed: Mapping[str, Array], run_options: Any) -> list[Array]:
        """Run, with the parameters of adapters, and note it in the profile."""
        if run_options is not None:
            for adapter in getattr(run_options, "adapters", ()):
                feed = {**adapter.parameters, **feed}
        if self._profile.trace is None:
            return self._session.run(output_names, feed, run_options)
        with self._profile.noting("model_run"):
            return self._session.run(output_names, feed, run_options)


def _without_ort_values(feed: Mapping[str, Array]) -> Mapping[str, Array]:
    return {name: to_array(value) if hasattr(value, "_ortvalue") else value for name, value in feed.items()}


@contextmanager
def _onnxruntime_errors() -> Iterator[None]:
    try:
        yield
    except OvpartError as error:
        raise as_onnxruntime(error) from error.__cause__
