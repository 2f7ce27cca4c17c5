"""Copy the weights of a network into another one of the same class, as far as they fit.

Size, channels, classes and width may differ: weights that fit are kept, weights of another size are cut or extended,
and the rest stays as initialized.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gan.networks.layers import ConditionalBatchNorm2d

STAGES = re.compile(r"(blocks|stages)\.(\d+)\.(.+)")  # a weight in a list with one part per doubling of the size


@dataclass
class Copied:
    """The state of a network with weights of another one; the names of the parameters kept, resized and new.

    `numbers` is how many numbers of the parameters are those of the other network, and `cut` how many of the other
    network's numbers were cut off.
    """

    state: dict[str, Tensor]
    numbers: int = 0
    cut: int = 0
    kept: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def copy_weights(
    network: nn.Module, weights: Mapping[str, Tensor], before: Sequence[str], now: Sequence[str]
) -> Copied:
    """Return the state of a network with all weights of another one that fit.

    A network for another size has more or fewer blocks. They are counted from the first or from the last one,
    whichever keeps more weights.

    Args:
        before, now: names of the classes of the other network and of this one.
    """
    candidates = [renumbered(weights, shift) for shift in {0, count(network.state_dict()) - count(weights)}]
    found = [copy_same_names(network, with_classes(network, each, before, now)) for each in candidates]
    return max(found, key=lambda each: (sum(each.state[name].numel() for name in each.kept), each.numbers))


def copy_same_names(network: nn.Module, weights: Mapping[str, Tensor]) -> Copied:
    """Return the state of a network with all weights of the same name that fit."""
    own = network.state_dict()
    copied = Copied(dict(own))
    parameters = dict(network.named_parameters())
    for name, value in own.items():
        given, names = weights.get(name), copied.new
        if given is not None and given.shape == value.shape:
            copied.state[name], names = given.to(value), copied.kept
        elif given is not None and name in parameters and have_overlap(given, value):
            copied.state[name], names = overlap(given, value), copied.resized
        if name in parameters:  # buffers are not counted
            names.append(name)
            if given is not None and names is not copied.new:
                common = math.prod(map(min, given.shape, value.shape))
                copied.numbers, copied.cut = copied.numbers + common, copied.cut + given.numel() - common
    return copied


def have_overlap(given: Tensor, value: Tensor) -> bool:
    """Return whether two weights differ in channels only, not in the size of the kernel."""
    return given.ndim == value.ndim and given.shape[2:] == value.shape[2:]


def overlap(given: Tensor, value: Tensor) -> Tensor:
    """Return `value` with the channels that both tensors have from `given`."""
    common = tuple(slice(min(a, b)) for a, b in zip(given.shape, value.shape, strict=True))
    result = value.clone()
    result[common] = given[common].to(value)
    return result


def count(weights: Mapping[str, Tensor]) -> int:
    """Return the number of blocks, or stages, of a network."""
    return 1 + max((int(found[2]) for name in weights if (found := STAGES.match(name))), default=-1)


def renumbered(weights: Mapping[str, Tensor], shift: int) -> dict[str, Tensor]:
    """Return weights with the numbers of blocks raised by `shift`, without those whose number becomes negative."""
    result = {}
    for name, value in weights.items():
        found = STAGES.match(name)
        if found is None:
            result[name] = value
        elif (number := int(found[2]) + shift) >= 0:
            result[f"{found[1]}.{number}.{found[3]}"] = value
    return result


def with_classes(
    network: nn.Module, weights: Mapping[str, Tensor], before: Sequence[str], now: Sequence[str]
) -> dict[str, Tensor]:
    """Return weights for the classes of a network.

    A class keeps the weights of the class with its name; any other class gets the mean over the classes. If only the
    new network has classes, all of them start from the same BatchNorm. If only the other one has classes, the new
    BatchNorm is the mean over them.
    """
    result = dict(weights)
    for path, module in network.named_modules():
        prefix = f"{path}." if path else ""
        if isinstance(module, ConditionalBatchNorm2d):
            for mine, theirs in (("scale", "weight"), ("shift", "bias")):
                given = result.pop(prefix + theirs, None)
                if given is not None:
                    result[prefix + mine] = given.expand(len(now), -1)
                elif (given := result.get(prefix + mine)) is not None:
                    result[prefix + mine] = of_classes(given, before, now)
        elif isinstance(module, nn.BatchNorm2d):
            for mine, theirs in (("weight", "scale"), ("bias", "shift")):
                if (given := result.pop(prefix + theirs, None)) is not None:
                    result[prefix + mine] = given.mean(0)
        elif path.endswith("embedding") and (given := result.get(prefix + "weight")) is not None:
            rows = isinstance(module, nn.Embedding)  # otherwise a Linear of one-hot labels
            found = of_classes(given if rows else given.T, before, now)
            result[prefix + "weight"] = found if rows else found.T
    return result


def of_classes(rows: Tensor, before: Sequence[str], now: Sequence[str]) -> Tensor:
    """Return a row per class of `now`, from rows per class of `before`."""
    if len(rows) != len(before) or list(before) == list(now):
        return rows
    known = dict(zip(before, rows, strict=True))
    return torch.stack([known.get(name, rows.mean(0)) for name in now])
