"""Checkpoints made without training: valid and forged ones."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from gan.config.compose import compose
from gan.models import loading
from gan.runs.checkpoint_file import FORMAT

SMALL = ["data.size=16", "model.generator.width=4", "model.discriminator.width=4"]
DCGAN = [*SMALL, "model=dcgan", "model.generator.full_size_channels=0", "model.generator.latent_dim=8"]
STYLEGAN2 = [*SMALL, "model=stylegan2", "model.generator.latent_dim=8", "model.generator.max_channels=8"]
STYLEGAN2 += ["model.discriminator.max_channels=8"]
LUT = ["model=lut", "data=unpaired", "data.a=a", "data.b=b", "data.size=16", "model.generator.lut_size=5"]
LUT += ["model.discriminator.width=4"]


def configuration(options: Sequence[str]) -> dict[str, Any]:
    """Return the sections of a configuration that build networks and data, as in a checkpoint."""
    return copy.deepcopy(composed_once(tuple(options)))


@functools.cache
def composed_once(options: tuple[str, ...]) -> dict[str, Any]:
    composed = compose(list(options))
    raw: Any = OmegaConf.to_container(composed, resolve=False)
    whole: Any = OmegaConf.create({name: value for name, value in raw.items() if name != "hydra"})

    def plain(node: Any) -> Any:
        return OmegaConf.to_container(node, resolve=True)

    model = {part: plain(whole.model[part]) for part in ("generator", "discriminator")}
    target = whole.model.get("_target_", "gan.training.module.GAN")
    return {"seed": 0, "model": {"_target_": target, **model, "power_ema": []}, "data": plain(whole.data)}


def checkpoint(options: Sequence[str] = DCGAN, classes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a checkpoint as saved by training."""
    return copy.deepcopy(made_once(tuple(options), tuple(classes)))


@functools.cache
def made_once(options: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    config = configuration(options)
    for part in ("generator", "discriminator"):
        if "classes" in config["model"][part]:
            config["model"][part]["classes"] = len(classes)
    torch.manual_seed(0)
    state: dict[str, Any] = {}
    for role, prefix in (("generator", "ema.module."), ("discriminator", "discriminator.")):
        network = loading.network_builder(config, role, Path("made"))()
        state |= {prefix + name: value for name, value in network.state_dict().items()}
    state["class_counts"] = torch.ones(len(classes))
    made = {
        "format": FORMAT,
        "state_dict": state,
        "config": config,
        "images": 64,
        "global_step": 4,
        "pending": {},
        "division": {},
    }
    return made | ({"classes": list(classes)} if classes else {})


class Bomb:
    """An object whose pickle calls os.system."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.canary}",)
