"""Options that a new run takes from the model of init_from: those that shape its networks. No torch.

A run without init_from does not import this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from gan.config.compose import options, unresolved
from gan.config.overrides import derived, key_of
from gan.models import address, shared_model
from gan.runs import run_folder
from gan.utils.errors import UserError, path_hint
from gan.utils.option_values import flatten, pair, with_home
from gan.utils.output import print_line

NAME = re.compile(r"[A-Za-z_]\w*")  # values that need no quotes
LEFT = ("._target_", ".norm", ".weights")  # a discriminator's norm belongs to the penalty of this run; a path
DEVICE_RULES, SIZE_RULE = ("${by_device", "${width"), "${derived:stylegan2_width"  # in the values of conf/


def with_networks(typed: list[str], cfg: DictConfig, run: Path | None = None) -> list[str]:
    """Return the overrides with the options of the networks of `init_from` that differ and have their default here.

    Of the values that follow from the data, only its size and channels are taken; a line names those.

    Args:
        cfg: the configuration that Hydra composes from the overrides.
        run: the run to resume, which has taken the options already; the model of `init_from` may be gone.
    """
    ours, choices = unresolved(cfg), cfg.hydra.runtime.choices
    defaults = options([f"model={choices.model}", f"data={choices.data}"])
    chosen = {key_of(word) for word in typed} | {name for name in ours if ours[name] != defaults.get(name)}
    words = [f"{name}={value}" for name, value in differing(options_of(str(run or cfg.init_from)), ours, chosen)]
    derived.update(map(key_of, words))
    of_data = [word for word in words if word.startswith("data.")]
    if of_data and run is None:
        print_line(f"init_from={cfg.init_from}: as in that model, {' '.join(of_data)}")
    return [*words, *typed]


def options_of(text: str) -> dict[str, Any]:
    """Return the options of the model of init_from; empty for a checkpoint outside of a run, and for the Hub."""
    if text.startswith(address.HUB):
        return {}
    source = Path(with_home(address.locate(text)))
    if not source.exists():
        hint = address.zoo_hint(text) or path_hint(source)
        raise UserError(f"init_from={text}: no such run folder, checkpoint or shared model{hint}")
    if shared_model.is_shared(source):
        return flatten({"model": shared_model.read_about(shared_model.weights_of(source).parent)["model"]})
    run = run_folder.folder_of(source)
    return flatten(run_folder.read_config(run)) if (run / run_folder.CONFIG).is_file() else {}


def differing(theirs: dict[str, Any], ours: dict[str, Any], chosen: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield names and values of the options to take: size, channels, and whole numbers and names that shape a network.

    Args:
        theirs, ours: options of the other model and of this one; those of this one may be interpolations.
        chosen: names of options that are not taken.
    """
    their_size, our_size = sides(theirs.get("model.generator.size")), sides(ours.get("data.size"))
    if their_size and their_size != our_size and "data.size" not in chosen:
        our_size, (height, width) = their_size, their_size
        yield "data.size", height if height == width else f"[{height},{width}]"
    channels = theirs.get("model.generator.channels")
    if type(channels) is int and channels != ours.get("data.channels", channels) and "data.channels" not in chosen:
        yield "data.channels", channels
    for role in ("generator", "discriminator"):
        if theirs.get(f"model.{role}._target_") != ours.get(f"model.{role}._target_"):
            continue
        for name in (name for name in ours if name.startswith(f"model.{role}.") and name not in chosen):
            rule, value = str(ours[name]), theirs.get(name)
            follows_data = rule.startswith("${") and not rule.startswith(DEVICE_RULES)
            follows_size = SIZE_RULE in rule and their_size != our_size
            shapes_weights = type(value) is int or (isinstance(value, str) and NAME.fullmatch(value))
            if shapes_weights and value != ours[name] and not (follows_data or follows_size or name.endswith(LEFT)):
                yield name, value


def sides(size: object) -> tuple[int, int] | None:
    """Return (height, width); None if it is not given, or depends on the device."""
    try:
        return pair(size)
    except UserError:
        return None
