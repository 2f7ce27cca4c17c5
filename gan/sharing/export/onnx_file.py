"""ONNX files, opset 18: for ONNX Runtime in Python, C++, C#, on phones and in browsers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from gan.common.errors import UserError, install
from gan.sharing.export.half import check_range
from gan.sharing.export.parts import Part
from gan.sharing.export.trace import first_line, quiet

OPSET = 18
MAX_BYTES = 2**31 - 1  # of a protocol buffer
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def check_installed() -> None:
    """Raise UserError if a package of the extra is missing."""
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise UserError(f"--to onnx and --to web need {', '.join(missing)}: {install('export')}")


def encode(part: Part, program: ExportedProgram, half: bool, about: Mapping[str, str]) -> bytes:
    """Return the bytes of an ONNX file.

    Args:
        half: store matrices and kernels in fp16.
        about: metadata of the file.

    Raises:
        UserError: ONNX has no form of an operator, or the file would be larger than 2 GB.
    """
    size = sum(value.numel() * value.element_size() for value in program.state_dict.values())
    if size > MAX_BYTES:
        raise UserError(f"{part.name}: its weights take {size / 1e9:.1f} GB, but an ONNX file holds 2 GB; use --to pt2")
    with quiet():
        try:
            found = torch.onnx.export(
                program, dynamo=True, opset_version=OPSET, verbose=False, external_data=False,
                input_names=list(part.inputs), output_names=list(part.outputs),
            )  # fmt: skip
        except Exception as error:
            raise UserError(
                f"{part.name}: ONNX does not support its network ({reason(error)}); use --to pt2 or safetensors"
            ) from error
    assert found is not None
    model = found.model_proto
    strip(model, part)
    if half:
        store_in_half(model.graph)
    for key, value in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    encoded: bytes = model.SerializeToString()
    return encoded


def store_in_half(graph: Any) -> None:
    """Store matrices and kernels in fp16, and convert each to fp32 before its use.

    Torch's exporter folds constants. Weights that are in fp16 before would be folded to fp32 again, in part.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in graph.initializer:
        if weight.data_type == TensorProto.FLOAT and len(weight.dims) >= 2:
            name, values = weight.name, numpy_helper.to_array(weight)
            check_range(name, float(abs(values).max(initial=0)))
            weight.CopyFrom(numpy_helper.from_array(values.astype("float16"), f"{name}_fp16"))
            casts.append(helper.make_node("Cast", [weight.name], [name], name=f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def reason(error: Exception) -> str:
    """Return the operator that ONNX lacks, or the innermost cause of torch's error, in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    operator = re.search(r"op='([\w.]+)'", str(cause))
    return f"it lacks the operator {operator[1]}" if operator else first_line(cause)


def strip(model: Any, part: Part) -> None:
    """Remove everything from a model that its results do not need: stack traces, names of classes, versions."""
    model.producer_name, model.producer_version, model.doc_string = "retro-gan", "", ""
    graph = model.graph
    graph.name, graph.doc_string = part.name, ""
    for group in (graph.node, graph.initializer, graph.input, graph.output, graph.value_info, [graph], [model]):
        for each in group:
            each.ClearField("doc_string")
            each.ClearField("metadata_props")
    del graph.value_info[:]
    rename_dimensions(graph, part)


def rename_dimensions(graph: Any, part: Part) -> None:
    """Name the free dimensions of inputs and outputs batch, height and width, in place of torch's symbols."""
    for value in (*graph.input, *graph.output):
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                margin = f" + {2 * part.noise_margin}" if value.name == "noise" and part.noise_margin and axis else ""
                dim.dim_param = ("batch", "", "height", "width")[axis] + margin


def open_file(data: bytes, part: Part) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function that ONNX Runtime computes for a file, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: value.numpy() for name, value in zip(part.inputs, inputs, strict=True) if name in names}
        return tuple(torch.from_numpy(each) for each in session.run(list(part.outputs), given))

    return run
