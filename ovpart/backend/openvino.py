"""openvino as a backend: accuracy first, weights shared, nothing given to it that it crashes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovpart.backend.base import Cut, Port
from ovpart.backend.cut import port
from ovpart.backend.openvino_attention import safe_for_attention
from ovpart.backend.openvino_chains import quick_options
from ovpart.backend.openvino_devices import CONTEXT, OpenVINODevices, import_openvino
from ovpart.backend.openvino_model import (
    bound_ports,
    crash_in,
    crash_in_graph,
    filled,
    fits_inside,
    in_order_of,
    inlined,
    reads,
    wanted_inside,
)
from ovpart.backend.openvino_precision import exact_options
from ovpart.backend.openvino_repairs import repair
from ovpart.backend.openvino_types import THROWN, short_name
from ovpart.backend.openvino_unlisted import compile_as_known
from ovpart.backend.words import node_in_words, shortened
from ovpart.errors import CompileError, OptionError

if TYPE_CHECKING:
    import openvino

    from ovpart.backend.openvino_request import OpenVINOExecutable
    from ovpart.model.graph import Model

_NO_RULE = ("No conversion rule found", "does not support the following ONNX operations")


class OpenVINOBackend(OpenVINODevices):
    """openvino's Core.

    `config` of the compile methods takes openvino's own properties, in capitals, which go over the defaults
    (``INFERENCE_PRECISION_HINT=f32``, ``DYNAMIC_QUANTIZATION_GROUP_SIZE=0``, ``PERFORMANCE_HINT=LATENCY``,
    ``NUM_STREAMS=1``, each where the device has it; on the CPU ``LP_TRANSFORMS_MODE=NO`` for quantised cuts),
    ``num_threads`` (int; 0 or absent: openvino chooses), and ``context`` (int:
    the address of a cl_context that a GPU's clusters are compiled in).

    Parameters
    ----------
    core : openvino.Core, optional
        One that is set up already; by default one is made at first use.
    """

    name = "openvino"

    def compile(self, cut: Cut, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile a cut over its weights where they lie.

        Large constants are Parameters at conversion and become shared Constants before compilation. Where conversion
        wants their values (MatMulNBits) the conversion is done again with the weights inside, which copies them.

        Raises
        ------
        CompileError
            With openvino's words and the node they name; also for what would crash openvino instead of failing.
        DeviceNotFound
            If openvino has no such device.
        OptionError
            If openvino has no property that `config` names, or not with that value.
        """
        return self._compile(cut, device, config)

    def compile_profiled(self, cut: Cut, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile a cut so that it times its layers; raises as :meth:`compile`."""
        from ovpart.backend.layers import tagged

        return self._compile(tagged(cut), device, config, profiled=True)

    def _compile(
        self, cut: Cut, device: str, config: Mapping[str, object], *, profiled: bool = False
    ) -> OpenVINOExecutable:
        from ovpart.backend.openvino_layers import ProfiledOpenVINO, tag_operations, with_counters

        self._check_device(device)
        options = exact_options(cut.proto.graph, device, self._options(device, config), config)
        options = quick_options(cut.proto.graph, device, options)
        crash = crash_in(cut)
        if crash is not None:
            raise CompileError(f"openvino was not asked: {crash[0]}", stage="read", node=crash[1])
        model = self._converted(cut)
        slots = self._step("convert", cut, lambda: bound_ports(model, cut.inputs, cut.outputs, _used(cut)))
        if profiled:
            options = with_counters(options)
            self._step("convert", cut, lambda: tag_operations(model, cut))
        compiled = self._step("compile", cut, lambda: self._compiled(model, device, options, config), config)
        kind = ProfiledOpenVINO if profiled else None
        made = self._executable(compiled, cut.inputs, cut.outputs, slots, cut, kind=kind)
        return self._reaching(made, device, config)

    def compile_whole(self, model: Model, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Compile the untouched model, from its path where it has one so that openvino maps the weights itself.

        Raises
        ------
        CompileError
            With openvino's words; also for what would crash openvino instead of failing.
        """
        self._check_device(device)
        graph = model.graph
        crash = crash_in_graph(model.proto.graph)
        if crash is not None:
            raise CompileError(f"openvino was not asked: {crash[0]}", stage="read", node=crash[1])
        inputs = tuple(port(name, graph.type_of(name)) for name in graph.inputs)
        outputs = tuple(port(name, graph.type_of(name)) for name in graph.outputs)
        used = reads(model.proto.graph) | set(graph.outputs)
        source = model.source if isinstance(model.source, bytes | Path) else model.source.SerializeToString()
        options = exact_options(model.proto.graph, device, self._options(device, config), config)
        read = self._step("convert", None, lambda: self.core.read_model(source))
        slots = self._step("convert", None, lambda: bound_ports(read, inputs, outputs, used))
        compiled = self._step("compile", None, lambda: self._compiled(read, device, options, config), config)
        return self._reaching(self._executable(compiled, inputs, outputs, slots, None), device, config)

    def ports_of_file(self, path: Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        """Return inputs and outputs of a model that openvino reads by itself: IR (``.xml``), named as in the file.

        Raises
        ------
        CompileError
            With openvino's words.
        """
        from ovpart.backend.openvino_request import ports_of

        return ports_of(self._step("read", None, lambda: self.core.read_model(path)))

    def compile_file(
        self, path: Path, device: str, config: Mapping[str, object], cut: Cut | None = None
    ) -> OpenVINOExecutable:
        """Compile a model that openvino reads by itself: IR (``.xml``). Ports are named as in the file, or as in `cut`.

        Raises
        ------
        CompileError
            With openvino's words.
        """
        from ovpart.backend.openvino_request import ports_of

        self._check_device(device)
        options = self._options(device, config)
        read = self._step("read", None, lambda: self.core.read_model(path))
        if cut is not None:
            cut = in_order_of(read, cut)
            slots = bound_ports(read, cut.inputs, cut.outputs, _used(cut))
            inputs, outputs = cut.inputs, cut.outputs
        else:
            inputs, outputs = ports_of(read)
            slots = tuple(range(len(inputs)))
        compiled = self._step("compile", None, lambda: self._compiled(read, device, options, config), config)
        return self._reaching(self._executable(compiled, inputs, outputs, slots, None), device, config)

    def write_ir(self, source: Cut | Model, path: Path, *, fp16: bool) -> None:
        """Write a cut, or a whole model, as IR: `path` (``.xml``) and the weights beside it (``.bin``).

        Raises
        ------
        CompileError
            If openvino cannot convert it.
        """
        crash = crash_in(source) if isinstance(source, Cut) else crash_in_graph(source.proto.graph)
        if crash is not None:
            raise CompileError(f"openvino was not asked: {crash[0]}", stage="read", node=crash[1])
        if isinstance(source, Cut):
            converted = self._converted(source)
        else:
            given = source.source
            file = given if isinstance(given, bytes | Path) else given.SerializeToString()
            converted = self._step("convert", None, lambda: self.core.read_model(file))
        import_openvino().save_model(converted, path, compress_to_fp16=fp16)

    def load(self, blob: bytes | memoryview, cut: Cut, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Take up a blob that `export` gave. It must come from the same build and device: compare fingerprints first.

        Raises
        ------
        CompileError
            If openvino refuses the blob, or it has other ports than the cut.
        """
        self._check_device(device)
        options = self._options(device, config)
        compiled, keep = self._step("load", cut, lambda: self._imported(blob, device, options), config)
        cut = in_order_of(compiled, cut)
        slots = self._step("load", cut, lambda: bound_ports(compiled, cut.inputs, cut.outputs, _used(cut)))
        return self._reaching(
            self._executable(compiled, cut.inputs, cut.outputs, slots, cut, keep=keep), device, config
        )

    def _compiled(
        self, model: openvino.Model, device: str, options: Mapping[str, object], config: Mapping[str, object]
    ) -> openvino.CompiledModel:
        """Compile, in the user's OpenCL context where one was given."""
        properties = safe_for_attention(model, device, options)
        address = properties.pop(CONTEXT, None)
        if address is None:
            return compile_as_known(self.started(), model, device, properties, config)
        return self.started().compile_model(model, self.context(device, int(str(address))), properties)

    def _converted(self, cut: Cut) -> openvino.Model:
        """Return openvino's model of a cut, with its large constants in place, and repaired."""
        model = self._read(cut)
        self._step("convert", cut, lambda: repair(model))
        return model

    def _read(self, cut: Cut) -> openvino.Model:
        inside = wanted_inside(cut)
        try:
            model = self.core.read_model(inlined(cut, inside))
        except THROWN as error:
            # Without a rule for an operator the values of constants change nothing.
            if (
                len(inside) == len(cut.weights)
                or any(words in str(error) for words in _NO_RULE)
                or not fits_inside(cut)
            ):
                raise _refused("convert", cut, error) from error
            return self._step("convert", cut, lambda: self.core.read_model(inlined(cut, set(cut.weights))))
        return self._step("convert", cut, lambda: filled(model, cut))

    def _imported(self, blob: bytes | memoryview, device: str, options: dict[str, object]) -> tuple[Any, object]:
        """Return what a blob holds, and the memory that it goes on reading."""
        import io

        import numpy as np

        # A tensor is read in place; its memory must be writeable, which a blob's need not be.
        array = np.frombuffer(blob, dtype=np.uint8)
        data = import_openvino().Tensor(array if array.flags.writeable else array.copy(), shared_memory=True)
        options = {key: value for key, value in options.items() if key not in (CONTEXT, "CACHE_DIR")}
        try:
            return self.started().import_model(data, device, options), (data, blob)
        except TypeError:  # before 2025.1 it takes streams only
            return self.core.import_model(io.BytesIO(blob), device, options), None

    def _step(
        self, stage: str, cut: Cut | None, action: Callable[[], Any], config: Mapping[str, object] | None = None
    ) -> Any:
        """Do one step of openvino's; what it throws becomes a CompileError of that stage.

        Where it throws because of a property in `config`, an OptionError: no other cluster would be taken with it.
        """
        try:
            return action()
        except THROWN as error:
            key = next((key for key in config or () if key in str(error) and "propert" in str(error)), None)
            if key is not None and config is not None:
                raise OptionError(f"config[{key!r}] cannot be {config[key]!r}: {shortened(error)}") from error
            raise _refused(stage, cut, error) from error

    def _reaching(self, made: OpenVINOExecutable, device: str, config: Mapping[str, object]) -> OpenVINOExecutable:
        """Let an executable on a GPU read and write the GPU's memory."""
        if device.partition(".")[0] == "GPU":
            made.device, made.memory = device, lambda: self.memory(device, config)
        return made

    def _executable(
        self,
        compiled: Any,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        slots: Sequence[int | None],
        cut: Cut | None,
        keep: object = None,
        kind: type[OpenVINOExecutable] | None = None,
    ) -> OpenVINOExecutable:
        from ovpart.backend.openvino_request import OpenVINOExecutable

        for value in (*compiled.inputs, *compiled.outputs):
            if short_name(value.element_type) is None:
                raise CompileError(
                    f"openvino has a port of type {value.element_type.get_type_name()}, which ONNX has not"
                )
        kind = kind or OpenVINOExecutable
        return kind(compiled, inputs, outputs, slots, cut=cut, keep=(keep, cut))


def _used(cut: Cut) -> set[str]:
    """Return the inputs of a cut that something in it reads."""
    return reads(cut.proto.graph) | {value.name for value in cut.proto.graph.output}


def _refused(stage: str, cut: Cut | None, error: Exception) -> CompileError:
    words = shortened(error)
    if cut is None:
        return CompileError(f"openvino refuses the model ({stage}): {words}", stage=stage)
    return CompileError(
        f"openvino refuses a cluster of {len(cut.node_names)} nodes ({stage}): {words}",
        stage=stage,
        node=node_in_words(str(error), cut),
    )
