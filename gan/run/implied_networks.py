"""Take the options of the networks from the model of `init_from`, so that all of its weights fit. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gan.common.errors import UserError
from gan.common.option_values import pair
from gan.common.output import print_line
from gan.run.config import options, unresolved
from gan.run.early_checks import init_from_options
from gan.run.overrides import key_of

NETWORKS = ("generator", "discriminator")
NAME = re.compile(r"[A-Za-z_]\w*")  # values that need no quotes
LEFT = ("._target_", ".norm")  # the norm of a discriminator belongs to the penalty of this run
RULE, DEVICE_RULE, SIZE_RULE = "${", "${by_device", "${by_side"


def with_networks(typed: list[str], cfg: Any) -> list[str]:
    """Return the overrides with the options of the networks of `init_from` that differ and have their default here.

    Print a line that names them. Of the values that follow from the data, only its size and channels are taken.

    Args:
        cfg: the configuration that Hydra composes from the overrides.

    Raises:
        UserError: `init_from` is no model.
    """
    if not cfg.init_from:
        return typed
    ours, choices = unresolved(cfg), cfg.hydra.runtime.choices
    defaults = options([f"model={choices.model}", f"data={choices.data}"])
    chosen = {key_of(word) for word in typed} | {name for name in ours if ours[name] != defaults.get(name)}
    added = dict(differing(init_from_options(str(cfg.init_from)), ours, chosen))
    if not added:
        return typed
    words = [f"{name}={value}" for name, value in added.items()]
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
    for role in NETWORKS:
        if theirs.get(f"model.{role}._target_") != ours.get(f"model.{role}._target_"):
            continue
        for name, value in ours.items():
            follows_data = str(value).startswith(RULE) and not str(value).startswith(DEVICE_RULE)
            follows_size = SIZE_RULE in str(value) and before != now
            if not name.startswith(f"model.{role}.") or name in chosen or follows_data or follows_size:
                continue
            if shapes(theirs.get(name)) and theirs[name] != value and not name.endswith(LEFT):
                yield name, theirs[name]


def shapes(value: Any) -> bool:
    """Return whether a value is a whole number or a name, which can decide the shapes of weights."""
    return type(value) is int or (isinstance(value, str) and NAME.fullmatch(value) is not None)


def sides(size: Any) -> tuple[int, int] | None:
    """Return (height, width); None if it is not given, or depends on the device."""
    try:
        return pair(size)
    except UserError:
        return None
