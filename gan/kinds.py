"""The two kinds of model: generators of images from latents, and translators of images. No torch.

The name of the kind is written to the configuration of a run, its checkpoints and shared models.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What differs between the kinds before and after training."""

    name: str
    start_can_be_best: bool  # whether the scores before training can be the best
    data: str  # the choice of `data` that follows from a path such as data.root


GENERATOR = Kind("generator", start_can_be_best=False, data="folder")
TRANSLATOR = Kind("translator", start_can_be_best=True, data="unpaired")  # it starts from a fitted color map
PAIRED = replace(TRANSLATOR, data="paired")
OF_NAME = {kind.name: kind for kind in (GENERATOR, TRANSLATOR)}
OF_CLASS = {
    "gan.training.module.GAN": GENERATOR,
    "gan.training.translation.Translator": TRANSLATOR,
    "gan.training.translation.CycleGAN": TRANSLATOR,
    "gan.training.translation.Pix2Pix": PAIRED,
}


def of_class(target: str) -> Kind:
    """Return the kind of a training class by its dotted name. A user's class, which is imported, has that of its base.

    A class that cannot be imported counts as a generator here; creating it raises the error.
    """
    if target in OF_CLASS:
        return OF_CLASS[target]
    try:
        bases = pkgutil.resolve_name(target).__mro__
    except (ImportError, AttributeError, ValueError):
        return GENERATOR
    names = (f"{base.__module__}.{base.__qualname__}" for base in bases)
    return next((OF_CLASS[base] for base in names if base in OF_CLASS), GENERATOR)


def of(config: Mapping[str, Any]) -> Kind:
    """Return the kind of the model of a stored configuration. Older ones name only the class; no code is imported."""
    target = str((config.get("model") or {}).get("_target_"))
    return OF_NAME.get(str(config.get("kind"))) or OF_CLASS.get(target, GENERATOR)


def of_network(network: object) -> Kind:
    """Return the kind of a generator; a network of both directions counts as a translator."""
    return GENERATOR if hasattr(network, "latent_dim") else TRANSLATOR


def directions(network: Any) -> list[Any]:
    """Return the networks of both directions, a to b first, of a network that has them; otherwise it alone."""
    return [network.a2b, network.b2a] if hasattr(network, "b2a") else [network]


def of_data(data: object) -> Kind:
    """Return the kind of model that a DataModule is for."""
    return TRANSLATOR if hasattr(data, "inputs") else GENERATOR


def start_counts(config: Mapping[str, Any]) -> bool:
    """Return whether the start of a run with this configuration can be its best: of a translator, or of init_from."""
    return of(config).start_can_be_best or bool(config.get("init_from"))
