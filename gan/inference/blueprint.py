"""What a file's configuration would build, worked out before it takes memory, and whether the file's weights fit it.

A configuration is text that anyone can write: a width of a billion in it must not cost more than a line that says so.
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
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from gan.common.errors import UserError
from gan.inference.sampling import CHUNK
from gan.inference.tiling import available

LARGEST_NUMBER = 2**16  # of a network's options: widths, sides, layers
LONGEST_LIST = 64
LONGEST_TEXT = 4096  # characters
DEEPEST = 4  # parts within parts
MOST_PARTS = 5_000  # layers and weights of a network; the largest of ours have some hundreds
LARGEST_UNSAVED = 1 << 28  # bytes of what a network holds and no checkpoint saves
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def plain_option(name: str, value: object, largest: int = LARGEST_NUMBER) -> str | None:
    """Why an option's value is none that a configuration has, or None if it is a scalar or a list of scalars."""
    values = value if isinstance(value, list | tuple) else [value]
    if len(values) > LONGEST_LIST:
        return f"{name} has {len(values):,} values"
    for each in values:
        if not isinstance(each, bool | int | float | str | None):
            return f"{name} is neither a number nor a text nor a list of such"
        if isinstance(each, int | float) and not abs(each) <= largest:
            return f"{name} is out of range: a number of at most {largest:,} is possible"
        if isinstance(each, str) and len(each) > LONGEST_TEXT:
            return f"{name} has {len(each):,} characters"
    return None


@contextmanager
def few_parts(what: str) -> Iterator[None]:
    """UserError where more layers and weights are made inside than any network of gan has."""
    count = itertools.count()

    def another(*_: Any) -> None:
        if next(count) > MOST_PARTS:
            raise UserError(f"{what}: would have more than {MOST_PARTS:,} layers and weights")

    hooks = [register_module_module_registration_hook(another), register_module_parameter_registration_hook(another)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def planned(build: Callable[[], nn.Module], what: str) -> nn.Module:
    """The network that `build` makes, in eval mode, with shapes and without numbers.

    Raises:
        UserError: as `build`, or it has more parts than any network of ours, or would hold much that is in no file.
    """
    with torch.device("meta"), few_parts(what):
        network = build().to("meta").eval()
    saved = network.state_dict().keys()
    unsaved = sum(buffer.numel() for name, buffer in network.named_buffers() if name not in saved)
    if 4 * unsaved > LARGEST_UNSAVED:
        raise UserError(f"{what}: would hold {unsaved:,} numbers beside its weights")
    return network


def check_weights(network: nn.Module, weights: Mapping[str, Any], size: int, path: Path) -> None:
    """UserError where a file's weights are not those of a network, not finite, or more than the file holds.

    Args:
        network: as `planned` gives it.
        size: bytes of the file.
    """
    expected = network.state_dict()
    for name in [
        *(name for name in expected if name not in weights),
        *(name for name in weights if name not in expected),
    ]:
        has = "has no" if name in expected else "has a"
        raise UserError(f"{path}: {has} {name}, so {UNFIT}")
    for name, like in expected.items():
        value = weights[name]
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.device.type != "cpu":
            raise UserError(f"{path}: its {name} is no plain tensor, so {UNFIT}")
        if value.shape != like.shape:
            raise UserError(f"{path}: its {name} is {tuple(value.shape)} and not {tuple(like.shape)}, so {UNFIT}")
        if value.dtype not in (FLOATS if like.dtype.is_floating_point else [like.dtype]):
            raise UserError(f"{path}: its {name} holds {value.dtype} and not {like.dtype}, so {UNFIT}")
    if sum(weights[name].numel() * weights[name].element_size() for name in expected) > size:
        raise UserError(f"{path}: its weights would take more memory than the file has bytes; it is damaged or forged")
    for name in expected:
        if weights[name].dtype.is_floating_point and not bool(weights[name].isfinite().all()):
            raise UserError(f"{path}: its weights are not finite ({name}); take an earlier checkpoint")


UNFIT = "its weights do not fit its own configuration; is it from another version?"


@torch.no_grad()
def shape_of(network: nn.Module, function: Callable[..., Any], *inputs: Tensor | None) -> tuple[Any, int]:
    """What a planned network gives for inputs on "meta", and the bytes of its largest layer's outcome for CHUNK rows
    of inputs that have one; what is less than these does not suffice.

    Raises:
        UserError: it does not take them.
    """
    largest = 0

    def measure(module: nn.Module, given: Any, outcome: Any) -> None:
        nonlocal largest
        if isinstance(outcome, Tensor):
            largest = max(largest, outcome.numel())

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    try:
        with torch.device("meta"):
            found = function(*inputs)
    except UserError:
        raise
    except Exception as error:  # of any kind, in the midst of a network whose options contradict each other
        raise UserError(f"it does not take what it should ({' '.join(str(error).split())})") from error
    finally:
        for hook in hooks:
            hook.remove()
    return found, 4 * CHUNK * largest


def check_memory(needed: int, what: str) -> None:
    """UserError where there is less memory than `needed` bytes."""
    if needed > (free := available()):
        raise UserError(f"{what}: needs {math.ceil(needed / 1e9):,} GB of memory, and {free / 1e9:.1f} GB are free")
