"""Compare the stored configuration of a run with the configuration for resuming it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig, open_dict

from gan.common.errors import UserError
from gan.common.nested import flatten, without_home
from gan.run import run_folder
from gan.run.config import to_plain
from gan.run.overrides import key_of, parsed_value

# Options that may change on resume.
FREE = (
    "images",
    "minutes",
    "logger",
    "callback",
    "stop",
    "remote",
    "data.num_workers",
    "trainer.devices",
    "trainer.threads",
)
DERIVED = ("trainer.strategy", "trainer.sync_batchnorm", "resume", "resume_force")  # computed from such options


def check_same(run: Path, cfg: DictConfig) -> None:
    """Raise UserError, which lists the differences, if a run has another configuration and resume_force is not set."""
    if not cfg.resume_force and (found := differences(run, cfg)):
        raise another_configuration(run, found)


def check_typed(run: Path, typed: Sequence[str]) -> None:
    """Raise UserError if an option of the command line visibly differs from the stored configuration.

    This is the quick part of `check_same`, which computes the whole configuration.
    """
    stored = flatten(run_folder.read_config(run))
    found = []
    for word in typed:
        key, value = key_of(word), without_home(parsed_value(word))
        plain = isinstance(value, bool | int | float | str) and value != ""
        if plain and key in stored and stored[key] != value and not is_under(key, (*FREE, *DERIVED)):
            found.append(f"{key}: {stored[key]} -> {value}")
    if found:
        raise another_configuration(run, found)


def another_configuration(run: Path, found: Sequence[str]) -> UserError:
    """Return the error for differences between the stored configuration and the present one."""
    return UserError(
        f"{run} has another configuration: {'; '.join(found)}; only {', '.join(FREE)} may change on resume; "
        "set resume_force=true to resume anyway"
    )


def is_same(run: Path, cfg: DictConfig) -> bool:
    """Return whether a run can be resumed with a configuration; False if its own configuration cannot be read."""
    try:
        return not differences(run, cfg)
    except UserError:
        return False


def differences(run: Path, cfg: DictConfig) -> list[str]:
    """Return a line `key: stored -> now` for each difference in an option that may not change on resume."""
    stored, now = without_home(run_folder.read_config(run)), cfg.copy()
    with open_dict(now):
        for key in ("hydra", "logger", "callback"):
            now.pop(key, None)
        now.images = stored.get("images")  # `images` may change, and with it the lengths of schedules
    old, new = flatten(stored), flatten(to_plain(now))
    keys = [key for key in sorted({*old, *new}) if not is_under(key, (*FREE, *DERIVED))]
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in keys if old.get(key) != new.get(key)]


def is_under(key: str, parents: Iterable[str]) -> bool:
    """Return whether a dotted key is one of `parents` or below one."""
    return any(key == parent or key.startswith(parent + ".") for parent in parents)
