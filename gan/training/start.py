"""Start a generator and its discriminator from the weights of another model.

Both models have the same class of generator. Size, channels, classes and width may differ: weights that fit are kept,
weights of another size are cut or extended, and the rest stays as initialized.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.common.nested import flatten
from gan.common.output import print_line
from gan.inference.construct import network_builder
from gan.inference.loading import checked_weights, load_state
from gan.inference.resolve import checkpoint_of
from gan.inference.shared_weights import EMA
from gan.networks.conditional import ConditionalBatchNorm2d
from gan.run.address import with_addresses
from gan.training.base import Base
from gan.training.freeze import is_in, layers

STAGES = re.compile(r"(blocks|stages)\.(\d+)\.(.+)")  # a weight in a list with one part per doubling of the size
# Prefixes of the weights of each network. A shared model has only the EMA generator.
PREFIXES = {"generator": ("generator.", EMA), "discriminator": ("discriminator.",)}
FOLLOW_DATA = (".size", ".channels", ".classes", ".head")  # options of networks that follow from the data and the loss


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


def start_from(model: Base, source: Path, classes: Sequence[str]) -> None:
    """Give a new model the weights of another one, and print what was kept.

    Args:
        source: a run folder (its best checkpoint), a checkpoint, or the folder of a shared model.
        classes: names of the classes of the new model.

    Raises:
        UserError: the model cannot be read, no weight fits, or a translator's weights do not all fit.
    """
    path, shown = checkpoint_of(source), with_addresses(str(source))
    found = load_state(path)
    before, theirs, ours = found.get("classes", []), flatten(found["config"]), flatten(model.config)
    for role, prefixes in PREFIXES.items():
        weights, network = weights_of(found["state_dict"], *prefixes), getattr(model, role)
        kind = f"model.{role}._target_"
        if not weights or theirs.get(kind) != ours.get(kind):
            missing = f"has no {role} of this class" if weights else f"has no {role}"
            if role == "generator":
                remedy = "set model= to the recipe of that model"
                raise UserError(f"init_from={shown}: its generator has another class; {remedy}")
            if model.frozen.get(role):
                raise UserError(f"freeze.{role}: {shown} {missing}; leave the option out")
            print_line(f"init_from={shown}: {missing}; training starts with an untrained one")
            continue
        check_model(found, path, role)
        copied = copy_weights(network, weights, before, classes)
        if not hasattr(model.generator, "latent_dim") and (copied.resized or copied.new):
            name = (copied.resized + copied.new)[0]
            raise UserError(f"init_from={shown}: belongs to another model; {role}.{name} does not fit")
        if role == "generator" and not any(copied.state[name].ndim > 1 for name in copied.kept + copied.resized):
            raise UserError(f"init_from={shown}: has no weights that fit this model")
        for layer in model.frozen.get(role, ()):
            if any(is_in(name, layer) for name in copied.new):
                raise UserError(f"freeze.{role}: {layer} is new and must be trained; give the names of other layers")
        if model.kept_lr_factor == 0 and not copied.new:
            raise UserError(f"model.kept_lr_factor=0: the {role} has no new layer, so it would not learn; use freeze")
        network.load_state_dict(copied.state)
        model.kept[role] = copied.kept + copied.resized
        print_line(f"init_from={shown}: {role}: {describe(network, copied)}")
        if model.frozen.get(role):
            print_line(f"freeze.{role}: {', '.join(model.frozen[role])}")
        for line in notes(role, copied, theirs, ours, model.frozen.get(role, ())):
            print_line(f"note: {line}")
    if list(before) != list(classes):
        print_line(f"init_from={shown}: {describe_classes(before, classes)}")
    if model.kept_lr_factor != 1:
        print_line(f"model.kept_lr_factor: kept weights have {model.kept_lr_factor:g} times the learning rate")
    average = weights_of(found["state_dict"], EMA, "generator.")
    state = copy_weights(model.generator, average, before, classes).state
    for each in (model.ema, *model.power_ema):
        each.module.load_state_dict(state)


def notes(
    role: str, copied: Copied, theirs: Mapping[str, Any], ours: Mapping[str, Any], frozen: Sequence[str]
) -> Iterator[str]:
    """Yield notes about weights that were cut or extended: how to keep more, and that frozen ones stay like that.

    Args:
        theirs, ours: options of the other model and of this one.
        frozen: names of the frozen layers.
    """
    names = [name for name in ours if name.startswith(f"model.{role}.") and not name.endswith(FOLLOW_DATA)]
    differ = [f"{name}={theirs[name]}" for name in names if name in theirs and theirs[name] != ours[name]]
    if copied.cut and differ:
        yield f"{' '.join(differ)}, as in the other model, {'keeps' if len(differ) == 1 else 'keep'} more weights"
    touched = [layer for layer in frozen if any(is_in(name, layer) for name in copied.resized)]
    if touched:
        yield f"freeze.{role}: {', '.join(touched)}: cut or extended; new channels keep their random weights"
    if role == "generator" and (theirs.get("data.channels"), ours.get("data.channels")) == (3, 4):
        yield "the alpha channel is new, so images start half transparent"


def describe_classes(before: Sequence[str], now: Sequence[str]) -> str:
    """Return what the classes of a model start from, if they are not those of the other model."""
    if not now:
        return f"no classes; the weights of {len(before)} classes are averaged"
    if not before:
        return "classes: all start from the weights of the model without classes"
    kept, new = ([name for name in now if (name in before) == known] for known in (True, False))
    parts = [f"{', '.join(kept)} kept"] * bool(kept) + [f"{', '.join(new)} from the mean of all classes"] * bool(new)
    return f"classes: {'; '.join(parts)}"


def check_model(found: dict[str, Any], path: Path, role: str) -> None:
    """Raise UserError if the weights of a role are not those of the network in its configuration, or not finite."""
    for prefix in PREFIXES[role]:
        if any(name.startswith(prefix) for name in found["state_dict"]):
            checked_weights(found, prefix, network_builder(found["config"], role, path), path)


def weights_of(state: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return the weights whose names start with the first prefix that any name has, without the prefix."""
    for prefix in prefixes:
        found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if found:
            return found
    return {}


# ---- weights of one network


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


def describe(network: nn.Module, copied: Copied) -> str:
    """Return how many parameters were kept, and which layers were resized or are new."""
    total = sum(parameter.numel() for parameter in network.parameters())
    parts = [f"{copied.numbers:,} of {total:,} parameters kept"]
    for title, names in (("cut or extended", copied.resized), ("new", copied.new)):
        touched = [layer for layer in layers(network) if any(is_in(name, layer) for name in names)]
        if touched:
            parts.append(f"{title}: {', '.join(touched)}")
    return "; ".join(parts)
