"""Export a model to files for other programs, after comparing each file with PyTorch.

onnx    ONNX, opset 18: for ONNX Runtime in Python, C++, C#, on phones and in browsers.
pt2     torch.export: for PyTorch without this package. `torch.export.load` may run code that is in a file, so load only
        files that you made or trust.
"""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from gan import kinds
from gan.export.parts import (
    BATCHES,
    EXAMPLE_BATCH,
    MAX_BATCH,
    MAX_SIDE,
    MIN_SIDE,
    Call,
    Part,
    generator_parts,
    translator_part,
)
from gan.images.convert import to_uint8
from gan.model import Model
from gan.records.provenance import model_hash
from gan.translation.translator import Translator
from gan.utils.errors import UserError, causes, install, writing
from gan.utils.files import refuse_existing, write_bytes
from gan.utils.option_values import pair

FORMAT_VERSION = 1
METADATA = "retro_gan"  # the name of the metadata in a file
MAX_DIFFERENCE = 1e-4  # of outputs; relative to the largest absolute value if that exceeds 1
MAX_LEVELS = 1  # of 255, after the conversion to uint8
OPSET = 18
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
KEPT = ("val", "tensor_meta")  # metadata of a node that a program needs

Function = Callable[..., Tensor]  # of the inputs of a part


class Difference(NamedTuple):
    """The largest differences of outputs: as floats, and of images in levels of 255."""

    floats: float = 0.0
    levels: int = 0

    def __str__(self) -> str:
        return f"{self.floats:.1e}, {self.levels} of 255 levels"


class Exported(NamedTuple):
    """A file that was written, or is to be written, and its difference from PyTorch."""

    path: Path
    data: bytes
    difference: Difference


def export(model: Model | Translator, to: str, out: str | os.PathLike[str], force: bool = False) -> list[Exported]:
    """Write the files of a model, and return them. Nothing is written if one of them differs from PyTorch.

    Args:
        model: what `gan.load` returns.
        to: one of FORMATS.
        force: overwrite existing files.
    """
    parts = parts_of(model)
    paths = [Path(out) / f"{part.name}.{to}" for part in parts]
    refuse_existing(paths, force)
    files = [make(part, to, path, metadata(part, model)) for part, path in zip(parts, paths, strict=True)]
    with writing(out):
        for file in files:
            write_bytes(file.path, file.data)
    return files


def parts_of(model: Model | Translator) -> list[Part]:
    """Return the parts of a model: the networks of a generator, or the directions of a translator."""
    size = pair(model.config["data"]["size"])
    if not isinstance(model, Translator):
        return generator_parts(model.generator, size)
    networks = kinds.directions(model.network)
    names = ("a2b", "b2a") if len(networks) > 1 else ("translator",)
    channels = model.config["data"]["channels"]
    return [translator_part(name, network, channels, size) for name, network in zip(names, networks, strict=True)]


def make(part: Part, to: str, path: Path, about: Mapping[str, str]) -> Exported:
    """Return the file of a part; raise UserError if its function differs too much from the trained network."""
    encode, open_function = FORMATS[to]
    data = encode(part, about)
    difference = compare(part, open_function(data, part))
    if not (difference.floats <= MAX_DIFFERENCE and difference.levels <= MAX_LEVELS):
        limit = f"at most {MAX_DIFFERENCE:g} and {MAX_LEVELS} of 255 are allowed"
        raise UserError(f"{path}: not written, because it differs from PyTorch by {difference}; {limit}")
    return Exported(path, data, difference)


@torch.no_grad()
def compare(part: Part, function: Function) -> Difference:
    """Return the largest difference between a function and the trained network, over all sizes and batches."""
    floats, levels = torch.zeros(()), 0
    for size in part.checked_sizes():
        for n in BATCHES:
            inputs = part.example(n, size)
            output, expected = function(*inputs), part.run(part.original, *inputs)
            scale = expected.abs().max().clamp(min=1)
            floats = torch.maximum(floats, (output - expected).abs().max() / scale)  # NaN stays NaN
            if part.gives_images:
                levels = max(levels, int((to_uint8(output).int() - to_uint8(expected).int()).abs().max()))
    return Difference(float(floats), levels)


def metadata(part: Part, model: Model | Translator) -> dict[str, str]:
    """Return the metadata of a file, as one JSON object: never paths, names of users or versions of programs."""
    about: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": model_hash(model.network if isinstance(model, Translator) else model.generator),
        "kind": part.name if part.name not in ("a2b", "b2a") else "translator",
        "inputs": list(part.inputs),
        "outputs": [part.output],
        "channels": model.config["data"]["channels"],
        "size": ["height", "width"] if part.free_size else list(part.size),
        "trained_size": list(pair(model.config["data"]["size"])),
    }
    if isinstance(model, Translator):
        about |= {"multiple": part.multiple, "direction": "b2a" if part.name == "b2a" else "a2b"}
    else:
        about |= {"latent_dim": model.generator.latent_dim, "classes": model.classes}
    if part.gives_images:
        about |= {"range": [-1, 1], "alpha": "premultiplied"}
    return {METADATA: json.dumps(about | part.about)}


# ---- ONNX


def check_onnx_installed() -> None:
    """Raise UserError if a package of the extra is missing."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(f"--to onnx and --to web need {', '.join(missing)}: {install('export')}")


def encode_onnx(part: Part, about: Mapping[str, str]) -> bytes:
    """Return the bytes of an ONNX file, with `about` as its metadata."""
    program = trace(part)
    with quiet():
        try:
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, verbose=False, external_data=False,
                input_names=list(part.inputs), output_names=[part.output],
            )  # fmt: skip
        except Exception as error:
            *_, innermost = causes(error)
            reason = f"{part.name}: ONNX does not support its network ({first_line(innermost)})"
            raise UserError(f"{reason}; use --to pt2") from error
    assert exported is not None
    model: Any = exported.model_proto
    strip_onnx(model, part)
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    return model.SerializeToString()


def strip_onnx(model: Any, part: Part) -> None:
    """Remove what the results do not need: stack traces, names of classes, versions. Name the free dimensions."""
    model.producer_name, model.producer_version, model.doc_string = "retro-gan", "", ""
    graph = model.graph
    graph.name, graph.doc_string = part.name, ""
    for group in (graph.node, graph.initializer, graph.input, graph.output, [graph], [model]):
        for each in group:
            each.ClearField("doc_string")
            each.ClearField("metadata_props")
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:  # a symbol of torch
                margin = f" + {2 * part.noise_margin}" if value.name == "noise" and part.noise_margin and axis else ""
                dim.dim_param = ("batch", "", "height", "width")[axis] + margin


def open_onnx(data: bytes, part: Part) -> Function:
    """Return the function that ONNX Runtime computes for a file, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    used = {each.name for each in session.get_inputs()}  # the runtime refuses others

    def run(*inputs: Tensor) -> Tensor:
        feed = {name: value.numpy() for name, value in zip(part.inputs, inputs, strict=True) if name in used}
        return torch.from_numpy(session.run([part.output], feed)[0])

    return run


# ---- torch.export


def encode_pt2(part: Part, about: Mapping[str, str]) -> bytes:
    """Return the bytes of a file of torch.export; the metadata are extra files in it."""
    file = io.BytesIO()
    with quiet():
        torch.export.save(trace(part), file, extra_files=dict(about))
    return file.getvalue()


def open_pt2(data: bytes, part: Part) -> Function:
    """Return the function of a file that `encode_pt2` made in this process."""
    with quiet():
        module = torch.export.load(io.BytesIO(data)).module()
    return torch.no_grad()(lambda *inputs: module(*inputs))


# ---- shared by the formats


def trace(part: Part) -> ExportedProgram:
    """Return the graph of operators of a part, without traces of the machine on which it was made.

    The batch is free, and for translators height and width.
    """
    inputs = part.example(EXAMPLE_BATCH, part.example_size())
    shapes = tuple(dimensions(part, name, value.ndim) for name, value in zip(part.inputs, inputs, strict=True))
    # A signature of *inputs alone, because `dynamic_shapes` has the form of the signature.
    positional = Call(part.network, lambda network, *inputs: network(*inputs))
    with quiet(), torch.no_grad():
        try:
            program = torch.export.export(positional, inputs, dynamic_shapes=(shapes,), strict=False)
        except Exception as error:  # torch's own errors and those of the network's code
            branches = "data-dependent" in str(error)
            reason = "it branches on the values of a tensor" if branches else first_line(error)
            raise UserError(f"{part.name}: its network cannot be exported ({reason})") from error
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            for key in node.meta.keys() - set(KEPT):
                del node.meta[key]
    program.graph_module.meta.clear()
    program._example_inputs = None
    return program


def dimensions(part: Part, name: str, axes: int) -> dict[int, Any]:
    """Return the free dimensions of an input of a part, by their axis."""
    dims: dict[int, Any] = {0: Dim("batch", min=1, max=MAX_BATCH)}
    if part.free_size and axes == 4 and name not in part.fixed_inputs:
        margin = part.noise_margin if name == "noise" else 0
        for axis, title in ((2, "height"), (3, "width")):
            multiple = part.multiple
            dim: Any = Dim(title, min=max(1, -(-MIN_SIDE // multiple)), max=MAX_SIDE // multiple)
            dim = multiple * dim if multiple > 1 else dim
            dims[axis] = dim + 2 * margin if margin else dim
    return dims


def first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """A context without the output of torch's exporters, which report their own deprecations and print graphs."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


# ---- the registry


# How the bytes of a part are made, and how the function of the bytes is called.
FORMATS: dict[str, tuple[Callable[[Part, Mapping[str, str]], bytes], Callable[[bytes, Part], Function]]] = {
    "onnx": (encode_onnx, open_onnx),
    "pt2": (encode_pt2, open_pt2),
}
