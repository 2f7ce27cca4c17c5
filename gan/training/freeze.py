"""Layers that keep their weights, so that a model that starts from another one forgets less.

Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020, arXiv:2002.10964: the first
layers of the discriminator stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gan.common.errors import UserError, did_you_mean


def layers(network: nn.Module) -> list[str]:
    """Return the names of the layers of a network in order; each block of a list is one layer, such as blocks.0.

    A parameter of the network itself, such as a constant, counts as a layer.
    """
    found = [name for name, _ in network.named_parameters(recurse=False)]
    for name, part in network.named_children():
        names = [f"{name}.{number}" for number in range(len(part))] if isinstance(part, nn.ModuleList) else [name]
        found += [each for each in names if any(True for _ in network.get_submodule(each).parameters())]
    return found


def freeze(network: nn.Module, role: str, given: int | Sequence[str]) -> list[str]:
    """Freeze layers of a network, and return their names.

    Args:
        role: "generator" or "discriminator", for messages.
        given: number of layers, in the order of `layers`, or one or more names of `layers`; "blocks" means all blocks.

    Raises:
        UserError: there is no such layer, or nothing is left to train.
    """
    option, known = f"freeze.{role}={given}", layers(network)
    given = [given] if isinstance(given, str) else given
    if len(known) == 1 and given:
        raise UserError(f"{option}: this network has one layer, so nothing can be frozen")
    if isinstance(given, int) and not isinstance(given, bool):
        if not 0 <= given < len(known):
            raise UserError(f"{option}: must be a number from 0 to {len(known) - 1}, or names: {', '.join(known)}")
        names = known[:given]
    elif isinstance(given, Sequence) and all(isinstance(each, str) for each in given):
        names = [layer for layer in known if any(is_in(layer, each) for each in given)]
        for each in given:
            if not any(is_in(layer, each) for layer in known):
                raise UserError(f"{option}: there is no layer {each}; {did_you_mean(each, known)}")
    else:
        raise UserError(f"{option}: give a number of layers, or a list of names: {', '.join(known)}")
    if len(names) == len(known):
        raise UserError(f"{option}: freezes all {len(known)} layers; give at most {len(known) - 1}")
    for name, parameter in network.named_parameters():
        if any(is_in(name, layer) for layer in names):
            parameter.requires_grad_(False)
    return names


def is_in(name: str, layer: str) -> bool:
    """Return whether `name` is the layer `layer`, or a part of it."""
    return f"{name}.".startswith(f"{layer}.")
