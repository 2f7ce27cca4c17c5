"""From a part to a graph of operators, without traces of the machine on which it was made."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from gan.common.errors import UserError
from gan.sharing.export.parts import EXAMPLE_BATCH, MAX_BATCH, MAX_SIDE, Part

KEPT = ("val", "tensor_meta")  # metadata of a node that a program needs


def trace(part: Part, network: nn.Module) -> ExportedProgram:
    """Return the program of a part, with free batch and, for translators, free height and width.

    Args:
        network: `part.network`, or the same function with other weights.

    Raises:
        UserError: the network cannot be traced, for example because it branches on values.
    """
    inputs = part.example(EXAMPLE_BATCH, part.example_size())
    shapes = tuple(dimensions(part, name, value.ndim) for name, value in zip(part.inputs, inputs, strict=True))
    with quiet(), torch.no_grad():
        try:
            program = torch.export.export(Positional(network), inputs, dynamic_shapes=(shapes,), strict=False)
        except Exception as error:  # torch's own errors and those of the network's code
            branches = "data-dependent" in str(error)
            reason = "it branches on the values of a tensor" if branches else first_line(error)
            raise UserError(f"{part.name}: its network cannot be exported ({reason}); use --to safetensors") from error
    strip(program)
    return program


def dimensions(part: Part, name: str, axes: int) -> dict[int, Any]:
    """Return the free dimensions of an input of a part, by their axis."""
    dims: dict[int, Any] = {0: Dim("batch", min=1, max=MAX_BATCH)}
    if part.free_size and axes == 4 and name not in part.fixed_inputs:
        margin = part.noise_margin if name == "noise" else 0
        for axis, title in ((2, "height"), (3, "width")):
            dims[axis] = side(title, part.multiple) + 2 * margin if margin else side(title, part.multiple)
    return dims


class Positional(nn.Module):
    """Passes its arguments on, so that every part has the same signature."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Any:
        return self.network(*inputs)


def side(name: str, multiple: int) -> Any:
    """Return the dimension of a side in pixels, a multiple."""
    if multiple == 1:
        return Dim(name, min=16, max=MAX_SIDE)
    return multiple * Dim(name, min=max(1, -(-16 // multiple)), max=MAX_SIDE // multiple)


def strip(program: ExportedProgram) -> None:
    """Remove stack traces, names of modules, and the example inputs from a program, in place."""
    for module in program.graph_module.modules():
        for node in getattr(getattr(module, "graph", None), "nodes", ()):
            for key in node.meta.keys() - set(KEPT):
                del node.meta[key]
    program.graph_module.meta.clear()
    program._example_inputs = None


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text, or its type if there is none."""
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
