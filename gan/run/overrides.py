"""Overrides as Hydra takes them, KEY=VALUE: read, merged, and taken from a run folder that may be a stranger's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException

from gan.common.errors import UserError
from gan.common.untrusted import is_plain, read_yaml
from gan.run.config import CONF, options, say

MOST = 1_000  # overrides of a run
NAME = r"[A-Za-z0-9_]+"
OUTPUTS = re.compile(r"hydra\b.*|(callback|logger)\.\w+\.(run|resumed_at)|resume|resume_force")  # never a stranger's
EXTRACTORS = "callback.evaluate.extractors"
READS = ("data.root", "data.a", "data.b", "data.labels", "data.name", "init_from")  # files and folders that are read


def stored(path: Path, typed: Sequence[str]) -> list[str]:
    """The overrides in a run folder, which may come from a stranger: options that exist, with plain values.

    What they read from the disk is printed. An override that has been typed again on this command line is trusted.

    Raises:
        UserError: the file cannot be read, or holds an override that could run code, read the environment, or write
            outside of the run folder.
    """
    words = read_yaml(path) or []
    if not (isinstance(words, list) and len(words) <= MOST and all(isinstance(word, str) for word in words)):
        raise UserError(f"{path}: is not a list of overrides, KEY=VALUE")
    again = {key_of(word) for word in typed}  # `merge` puts what was typed in their place
    unknown = {word: parsed(path, word) for word in words if key_of(word) not in again}
    groups = [word for word, (key, value) in unknown.items() if is_group(key) and exist(key, value)]
    known = options([*groups, *(word for word in typed if is_group(key_of(word)))]) if unknown else {}
    for word, (key, value) in unknown.items():
        if word not in groups and (fault := objection(key, value, known)):
            raise refusal(path, word, fault)
        if key in READS and value is not None:
            say(f"{path.parent}: reads {key}={value}")
    return words


def parsed(path: Path, word: str) -> tuple[str, Any]:
    """Key and value of a plain assignment, as Hydra itself reads it; UserError where it is anything else."""
    brackets = word.count("[") + word.count("{")
    if brackets > 1 or len(word) > 100_000:  # its parser goes down a level with each
        raise refusal(path, word, "its value is neither a scalar nor a list of scalars")
    try:
        override = OverridesParser.create().parse_override(word)
    except (HydraException, RecursionError) as error:
        raise refusal(path, word, "it is not KEY=VALUE") from error
    if override.type != OverrideType.CHANGE or override.package or override.is_sweep_override():
        raise refusal(path, word, "it is not KEY=VALUE")
    if not is_plain(value := override.value()):
        raise refusal(path, word, "its value is neither a scalar nor a list of scalars")
    return override.key_or_group, value


def refusal(path: Path, word: str, fault: str) -> UserError:
    return UserError(f"{path}: {word[:200]!r} is refused: {fault}; type it again on the command line if it is your own")


def objection(key: str, value: Any, known: dict[str, Any]) -> str | None:
    """Why an option is not taken from a file, None where it is.

    Args:
        known: options of the configuration and their values before they are resolved.
    """
    if is_group(key):
        return f"conf/{key} has no such file"
    if OUTPUTS.fullmatch(key):
        return "a run folder does not say where files are written, or how Hydra works"
    if any(part.startswith("_") for part in key.split(".")):
        return "a run folder does not name classes"
    if key not in known:
        return "there is no such option"
    if key == EXTRACTORS and not all(re.fullmatch(NAME, str(name)) for name in listed(value)):
        return "a run folder does not name classes"
    return None


def is_group(key: str) -> bool:
    return re.fullmatch(NAME, key) is not None and (CONF / key).is_dir()


def exist(group: str, value: Any) -> bool:
    """Whether all files that a group is set to are in conf/."""
    names = [name if isinstance(name, str) else "" for name in listed(value)]  # Hydra takes nothing else
    return all(re.fullmatch(NAME, name) and (CONF / group / f"{name}.yaml").is_file() for name in names)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- words


def merge(stored: Iterable[str], typed: list[str]) -> list[str]:
    """Stored overrides, with those typed in the place of the same key."""
    keys = {key_of(word) for word in typed}
    return [word for word in stored if key_of(word) not in keys] + typed


def lengthened(typed: list[str]) -> list[str]:
    """Overrides in which a length takes the place of the run's own, also where that is given the other way."""
    for given, other in (("images", "minutes"), ("minutes", "images")):
        if value_of(typed, given) not in (None, "null") and value_of(typed, other) is None:
            return [*typed, f"{other}=null"]
    return typed


def without(overrides: list[str], *keys: str) -> list[str]:
    return [word for word in overrides if key_of(word) not in keys]


def value_of(overrides: list[str], key: str) -> str | None:
    return next((word.partition("=")[2] for word in reversed(overrides) if key_of(word) == key), None)


def typed_value(overrides: list[str], key: str) -> Any:
    """The last value of a key as Hydra reads it, without quotes; None where there is none.

    Raises:
        HydraException: it is not in Hydra's grammar.
    """
    words = [word for word in overrides if key_of(word) == key]
    return OverridesParser.create().parse_override(words[-1]).value() if words else None


def key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def quote(path: Path) -> str:
    """A value that Hydra's grammar gives back as it is: it takes backslashes for escapes before a quote alone."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(path))
    return "'" + re.sub(r"(\\+)$", r"\1\1", text) + "'"
