"""Limit what the configuration in a file may build, and check that the weights fit it, before memory is allocated.

A configuration may come from an untrusted source. A width of a billion must give an error, not exhaust the memory.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional, init
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from gan.common.errors import UserError
from gan.common.processes import available_memory
from gan.common.untrusted import MAX_OPTION as MAX_NUMBER
from gan.inference.sampling import CHUNK

MAX_LIST = 64
MAX_TEXT = 4096  # characters
MAX_DEPTH = 4  # levels of nested parts
MAX_PARTS = 5_000  # layers and weights of a network; the largest networks of gan have some hundreds
MAX_UNSAVED = 1 << 28  # bytes of buffers that are not saved in checkpoints
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def invalid_option(name: str, value: object, largest: int = MAX_NUMBER) -> str | None:
    """Return why the value of an option is invalid; None if it is a scalar or a list of scalars within the limits."""
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) > MAX_LIST:
        return f"{name} has {len(values):,} values"
    for each in values:
        if not isinstance(each, bool | int | float | str | None):
            return f"{name} is not a number, a text or a list of these"
        if isinstance(each, int | float) and not abs(each) <= largest:
            return f"{name} is out of range: the largest number is {largest:,}"
        if isinstance(each, str) and len(each) > MAX_TEXT:
            return f"{name} has {len(each):,} characters"
    return None


class WithoutValues(TorchFunctionMode):
    """Leave tensors without values in the context, for "meta" tensors, which have only shapes.

    For the functions of SHAPES torch would import its compiler, which takes as long as importing torch.
    """

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        initializes = getattr(function, "__module__", "") == init.__name__
        return SHAPES.get(function, same_shape if initializes else function)(*args, **kwargs or {})


def same_shape(tensor: Tensor, *_: Any, **options: Any) -> Tensor:
    return tensor


SHAPES: dict[Any, Callable[..., Tensor]] = {
    torch.rand: torch.empty,
    torch.randn: torch.empty,
    torch.eye: lambda n, **options: torch.empty(n, n, **options),
    torch.Tensor.normal_: same_shape,
    torch.Tensor.uniform_: same_shape,
    torch.Tensor.div: same_shape,  # by a number
    torch.Tensor.mv: lambda matrix, vector: matrix[:, 0],
    torch.Tensor.dot: lambda x, y: x[0],
    functional.normalize: same_shape,
}


@contextmanager
def limit_parts(what: str) -> Iterator[None]:
    """Raise UserError if code in the context creates more than MAX_PARTS layers and weights."""
    count = itertools.count()

    def another(*_: Any) -> None:
        if next(count) > MAX_PARTS:
            raise UserError(f"{what}: would have more than {MAX_PARTS:,} layers and weights")

    hooks = [register_module_module_registration_hook(another), register_module_parameter_registration_hook(another)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def plan(build: Callable[[], nn.Module], what: str) -> nn.Module:
    """Build a network on the "meta" device, where tensors have shapes but no memory, and return it in eval mode.

    Raises:
        UserError: as `build`, or the network exceeds MAX_PARTS or MAX_UNSAVED.
    """
    with torch.device("meta"), WithoutValues(), limit_parts(what):
        network = build().to("meta").eval()
    saved = network.state_dict().keys()
    unsaved = sum(buffer.numel() for name, buffer in network.named_buffers() if name not in saved)
    if 4 * unsaved > MAX_UNSAVED:
        raise UserError(f"{what}: would have {unsaved:,} numbers in buffers in addition to its weights")
    return network


def check_weights(network: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Raise UserError if the weights of a file do not fit a network, which `plan` has built, or are not finite."""
    expected = network.state_dict()
    for name in [
        *(name for name in expected if name not in weights),
        *(name for name in weights if name not in expected),
    ]:
        has = "has no" if name in expected else "has an unexpected"
        raise UserError(f"{path}: {has} {name}; {UNFIT}")
    for name, like in expected.items():
        value = weights[name]
        if not isinstance(value, Tensor):
            raise UserError(f"{path}: its {name} is not a dense CPU tensor; {UNFIT}")
        if value.shape != like.shape:
            raise UserError(f"{path}: its {name} has shape {tuple(value.shape)}, not {tuple(like.shape)}; {UNFIT}")
        if value.dtype not in (FLOATS if like.dtype.is_floating_point else [like.dtype]):
            raise UserError(f"{path}: its {name} is {value.dtype}, not {like.dtype}; {UNFIT}")
    for name in expected:
        if weights[name].dtype.is_floating_point and not bool(weights[name].isfinite().all()):
            raise UserError(f"{path}: its weights are not finite ({name}); use an earlier checkpoint")


UNFIT = "its weights do not fit its configuration; is it from another version?"


@torch.no_grad()
def output_shape(network: nn.Module, function: Callable[..., Any], *inputs: Tensor | None) -> tuple[Any, int]:
    """Return a network's output for an empty batch, and a lower bound of the memory for CHUNK rows.

    An empty batch needs no memory. The bound is the size in bytes of the largest output of a layer.

    Raises:
        UserError: the network does not accept the inputs.
    """
    largest = 0

    def measure(module: nn.Module, given: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, math.prod(side for side in output.shape if side))

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    try:
        found = function(*inputs)
    except UserError:
        raise
    except Exception as error:  # contradictory options of the network cause many kinds of error
        raise UserError(f"it does not accept its inputs ({' '.join(str(error).split())})") from error
    finally:
        for hook in hooks:
            hook.remove()
    return found, 4 * CHUNK * largest


def check_memory(needed: int, what: str) -> None:
    """Raise UserError if less than `needed` bytes of memory are available."""
    if needed > (free := available_memory()):
        raise UserError(f"{what}: needs {math.ceil(needed / 1e9):,} GB of memory, but {free / 1e9:.1f} GB are free")
