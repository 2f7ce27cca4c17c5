"""Start a generator and its discriminator from the weights of another model, and say what was kept.

Both models have the same class of generator. Size, channels, classes and width may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.common.nested import flatten
from gan.common.output import print_line
from gan.inference.loading import EMA, checked_counts, load_network, load_state
from gan.inference.resolve import checkpoint_of
from gan.run.address import with_addresses
from gan.training.base import Base
from gan.training.copying import Copied, copy_weights
from gan.training.freeze import is_in, layers

# Prefixes of the weights of each network. A shared model has only the EMA generator.
PREFIXES = {"generator": ("generator.", EMA), "discriminator": ("discriminator.",)}
FOLLOW_DATA = (".size", ".channels", ".classes", ".head")  # options of networks that follow from the data and the loss


def start_from(model: Base, source: Path, classes: Sequence[str]) -> None:
    """Give a new model the weights of another one, and print what was kept.

    Args:
        source: a run folder (its best checkpoint), a checkpoint, or the folder of a shared model.
        classes: names of the classes of the new model.

    Raises:
        UserError: the model cannot be read, no weight fits, or a translator's weights do not all fit.
    """
    path, shown = checkpoint_of(source), f"init_from={with_addresses(str(source))}"
    found = load_state(path)
    before, theirs, ours = found.get("classes", []), flatten(found["config"]), flatten(model.config)
    for role, prefixes in PREFIXES.items():
        weights, network = weights_of(found["state_dict"], *prefixes), getattr(model, role)
        kind = f"model.{role}._target_"
        if not weights or theirs.get(kind) != ours.get(kind):
            without(model, role, shown, f"has no {role}" + " of this class" * bool(weights))
            continue
        check_model(found, path, role)
        copied = copy_weights(network, weights, before, classes)
        check_copied(model, role, copied, shown)
        network.load_state_dict(copied.state)
        model.kept[role] = copied.kept + copied.resized
        print_line(f"{shown}: {role}: {describe(network, copied)}")
        if model.frozen.get(role):
            print_line(f"freeze.{role}: {', '.join(model.frozen[role])}")
        for line in notes(role, copied, theirs, ours, model.frozen.get(role, ())):
            print_line(f"note: {line}")
    if list(before) != list(classes):
        print_line(f"{shown}: {describe_classes(before, classes)}")
    if model.kept_lr_factor != 1:
        print_line(f"model.kept_lr_factor: kept weights have {model.kept_lr_factor:g} times the learning rate")
    average = weights_of(found["state_dict"], EMA, "generator.")
    state = copy_weights(model.generator, average, before, classes).state
    for each in (model.ema, *model.power_ema):
        each.module.load_state_dict(state)


def weights_of(state: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return the weights whose names start with the first prefix that any name has, without the prefix."""
    for prefix in prefixes:
        found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if found:
            return found
    return {}


# ---- checks


def without(model: Base, role: str, shown: str, missing: str) -> None:
    """Print that the other model has no network for a role; raise UserError if this model needs one.

    Args:
        missing: what the other model lacks, such as "has no discriminator".
    """
    if role == "generator":
        raise UserError(f"{shown}: its generator has another class; set model= to the recipe of that model")
    if model.frozen.get(role):
        raise UserError(f"freeze.{role}: {shown} {missing}; leave the option out")
    print_line(f"{shown}: {missing}; training starts with an untrained one")


def check_copied(model: Base, role: str, copied: Copied, shown: str) -> None:
    """Raise UserError if a network cannot start from the weights that were copied."""
    if not hasattr(model.generator, "latent_dim") and (copied.resized or copied.new):
        name = (copied.resized + copied.new)[0]
        raise UserError(f"{shown}: belongs to another model; {role}.{name} does not fit")
    if role == "generator" and not any(copied.state[name].ndim > 1 for name in copied.kept + copied.resized):
        raise UserError(f"{shown}: has no weights that fit this model")
    for layer in model.frozen.get(role, ()):
        if any(is_in(name, layer) for name in copied.new):
            raise UserError(f"freeze.{role}: {layer} is new and must be trained; give the names of other layers")
    if model.kept_lr_factor == 0 and not copied.new:
        raise UserError(f"model.kept_lr_factor=0: the {role} has no new layer, so it would not learn; use freeze")


def check_model(found: dict[str, Any], path: Path, role: str) -> None:
    """Raise UserError if the weights of a role are not those of the network in its configuration, or not finite.

    A generator must also have the classes that the model names.
    """
    with torch.random.fork_rng(devices=[]):  # a run draws the same numbers whatever it starts from
        for prefix in PREFIXES[role]:
            if any(name.startswith(prefix) for name in found["state_dict"]):
                network = load_network(found, role, prefix, path)
    if role == "generator":
        checked_counts(found, network, path)


# ---- messages


def describe(network: nn.Module, copied: Copied) -> str:
    """Return how many parameters were kept, and which layers were resized or are new."""
    total = sum(parameter.numel() for parameter in network.parameters())
    parts = [f"{copied.numbers:,} of {total:,} parameters kept"]
    for title, names in (("cut or extended", copied.resized), ("new", copied.new)):
        touched = [layer for layer in layers(network) if any(is_in(name, layer) for name in names)]
        if touched:
            parts.append(f"{title}: {', '.join(touched)}")
    return "; ".join(parts)


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
