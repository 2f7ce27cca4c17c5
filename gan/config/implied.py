"""Options that follow from others that were typed: the data group from paths, networks from init_from. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gan.config.compose import compose, options, unresolved
from gan.config.early_checks import GAN, PATHS, PIX2PIX, init_from_options
from gan.config.overrides import first_alternative, is_group, key_of, value_of
from gan.utils.errors import UserError
from gan.utils.option_values import pair
from gan.utils.output import print_line

DEFAULT = "retro"  # the data of conf/train.yaml, which needs no path
NAME = re.compile(r"[A-Za-z_]\w*")  # values that need no quotes
LEFT = ("._target_", ".norm")  # the norm of a discriminator belongs to the penalty of this run
DEVICE_RULES, SIZE_RULE = ("${by_device", "${width"), "${derived:stylegan2_width"  # in the values of conf/


def with_data(typed: list[str], quiet: bool = False) -> list[str]:
    """Return the overrides with `data=` added, if they give paths of data and neither they nor an experiment set it.

    Print a line that names the choice, unless `quiet`.
    """
    paths = [path for path in PATHS if value_of(typed, path) not in (None, "", "null")]
    if not paths or any(key_of(word) == "data" for word in typed):
        return typed
    cfg = compose([first_alternative(word) for word in typed if is_group(key_of(word))])
    if cfg.hydra.runtime.choices.data != DEFAULT:
        return typed
    name = data_for(paths, cfg.model.get("_target_"), cfg.hydra.runtime.choices.model)
    if not quiet:
        print_line(f"using data={name}, because {paths[0]} is set")
    return [f"data={name}", *typed]


def data_for(paths: list[str], target: str | None, model: str) -> str:
    """Return the data group for the typed options with paths, and a class of models."""
    if target == PIX2PIX:
        return "paired"
    if target == GAN:
        if paths == ["data.root"]:
            return "folder"
        raise UserError(
            f"{paths[-1]} is for translators, but model={model} generates images; add model=cyclegan, "
            "or write data.root=PATH, for several folders data.root=[PATH,PATH]"
        )
    if "data.root" in paths:
        raise UserError(
            f"model={model} needs two folders: write data.a=PATH data.b=PATH instead of data.root, "
            "or add data=retro_filter to learn a built-in style"
        )
    return "unpaired"


def with_networks(typed: list[str], cfg: Any) -> list[str]:
    """Return the overrides with the options of the networks of `init_from` that differ and have their default here.

    Print a line that names them. Of the values that follow from the data, only its size and channels are taken.

    Args:
        cfg: the configuration that Hydra composes from the overrides.
    """
    if not cfg.init_from:
        return typed
    ours, choices = unresolved(cfg), cfg.hydra.runtime.choices
    defaults = options([f"model={choices.model}", f"data={choices.data}"])
    chosen = {key_of(word) for word in typed} | {name for name in ours if ours[name] != defaults.get(name)}
    words = [f"{name}={value}" for name, value in differing(init_from_options(str(cfg.init_from)), ours, chosen)]
    if words:
        print_line(f"init_from={cfg.init_from}: networks as in that model: {' '.join(words)}")
    return [*words, *typed]


def differing(theirs: dict[str, Any], ours: dict[str, Any], chosen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the options to take: size, channels, and whole numbers and names that shape a network.

    Args:
        theirs, ours: options of the other model and of this one; those of this one may be interpolations.
        chosen: names of options that are not taken.
    """
    before, now = sides(theirs.get("model.generator.size")), sides(ours.get("data.size"))
    if before and before != now and "data.size" not in chosen:
        now = before
        yield "data.size", before[0] if before[0] == before[1] else f"[{before[0]},{before[1]}]"
    channels = theirs.get("model.generator.channels")
    if type(channels) is int and channels != ours.get("data.channels", channels) and "data.channels" not in chosen:
        yield "data.channels", channels
    for role in ("generator", "discriminator"):
        if theirs.get(f"model.{role}._target_") != ours.get(f"model.{role}._target_"):
            continue
        for name, value in ours.items():
            follows_data = str(value).startswith("${") and not str(value).startswith(DEVICE_RULES)
            follows_size = SIZE_RULE in str(value) and before != now
            if not name.startswith(f"model.{role}.") or name in chosen or follows_data or follows_size:
                continue
            other = theirs.get(name)
            shapes_weights = type(other) is int or (isinstance(other, str) and NAME.fullmatch(other))
            if shapes_weights and other != value and not name.endswith(LEFT):
                yield name, other


def sides(size: Any) -> tuple[int, int] | None:
    """Return (height, width); None if it is not given, or depends on the device."""
    try:
        return pair(size)
    except UserError:
        return None
