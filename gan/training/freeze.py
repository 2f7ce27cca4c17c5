"""Layers that keep their weights, so that a model that starts from another one forgets less.

Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020, arXiv:2002.10964: the first
layers of the discriminator stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gan.utils.errors import UserError


def layers(network: nn.Module) -> list[str]:
    """Return the names of the layers of a network in order; each block of a list is one layer, such as blocks.0.

    A parameter of the network itself, such as a constant, counts as a layer.
    """
    names = [name for name, _ in network.named_parameters(recurse=False)]
    for name, part in network.named_children():
        parts = [f"{name}.{number}" for number in range(len(part))] if isinstance(part, nn.ModuleList) else [name]
        names += [each for each in parts if any(True for _ in network.get_submodule(each).parameters())]
    return names


def freeze(network: nn.Module, role: str, given: int | Sequence[str]) -> list[str]:
    """Freeze layers of a network, and return their names.

    Args:
        role: "generator" or "discriminator", for messages.
        given: number of layers, in the order of `layers`, or one or more names of `layers`; "blocks" means all blocks.

    Raises:
        UserError: there is no such layer, or nothing is left to train.
    """
    known = layers(network)
    if isinstance(given, int) and not isinstance(given, bool):
        names, missing = known[:given], not 0 <= given < len(known)
    else:
        wanted = [given] if isinstance(given, str) else given if isinstance(given, Sequence) else [str(given)]
        names = [layer for layer in known if any(is_in(layer, name) for name in wanted)]
        missing = not all(any(is_in(layer, name) for layer in known) for name in wanted)
    if missing or len(names) == len(known) > 0:
        raise UserError(
            f"freeze.{role}={given}: must be a number from 0 to {len(known) - 1}, or names of some of these layers: "
            f"{', '.join(known)}"
        )
    for name, parameter in network.named_parameters():
        if any(is_in(name, layer) for layer in names):
            parameter.requires_grad_(False)
    return names


def is_in(name: str, layer: str) -> bool:
    """Return whether `name` is the layer `layer`, or a part of it."""
    return f"{name}.".startswith(f"{layer}.")
