"""Overrides of Hydra, KEY=VALUE: read them from an untrusted run folder, and merge them with the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException

from gan.common.errors import UserError
from gan.common.output import print_line
from gan.common.untrusted import is_plain, read_yaml
from gan.data.styles import is_table
from gan.run.config import options
from gan.run.paths import folders

MAX_JOBS = 6  # jobs of a sweep that are checked before it starts
MAX_OVERRIDES = 1_000  # maximum number of overrides of a run
NAME = r"[A-Za-z0-9_]+"
REPEAT = "if you trust it, repeat it on the command line"
OWN_FILE = "if it is your own, add --config-dir DIR, as when the run was started"
# Options that decide where files are written and values are sent, and options of Hydra.
FORBIDDEN = re.compile(
    r"hydra\b.*|(callback|logger)\.\w+\.(run|resumed_at)|logger\.\w+\.(entity|tracking_uri|space_id|server_url)"
    r"|resume|resume_force|remote"
)
EXTRACTORS = "callback.evaluate.extractors"
STYLE = "data.style"  # a path only if it is a file with a color table
READ_PATHS = ("data.root", "data.a", "data.b", "data.labels", "data.name", STYLE, "init_from")  # training reads


def read_overrides(path: Path, typed: Sequence[str]) -> list[str]:
    """Return the overrides of an untrusted run folder: existing options with plain values.

    Print the paths that training will read because of them. Overrides in `typed` (the command line) are trusted and
    replace stored ones with the same key.

    Raises:
        UserError: the file cannot be read, or an override could run code, reads the environment, or writes
            outside of the run folder.
    """
    words = read_yaml(path) or []
    if not (isinstance(words, list) and len(words) <= MAX_OVERRIDES and all(isinstance(word, str) for word in words)):
        raise UserError(f"{path}: is not a list of overrides KEY=VALUE")
    replaced = {key_of(word) for word in typed}  # by `merge`
    untrusted = {word: parse(path, word) for word in words if key_of(word) not in replaced}
    groups = [word for word, (key, value) in untrusted.items() if is_group(key) and group_files_exist(key, value)]
    known = options([*groups, *(word for word in typed if is_group(key_of(word)))]) if untrusted else {}
    for word, (key, value) in untrusted.items():
        if word not in groups and (fault := reason_to_refuse(key, value, known)):
            raise refusal(path, word, fault, OWN_FILE if is_group(key) else REPEAT)
        is_read = key in READ_PATHS and key != "init_from" and value is not None  # the checkpoint has those weights
        if is_read and (key != STYLE or any(map(is_table, map(str, as_list(value))))):
            print_line(f"{path.parent}: reads {key}={value}")
    return words


def parse(path: Path, word: str) -> tuple[str, Any]:
    """Return key and value of a plain assignment, as Hydra parses it; raise UserError if it is anything else."""
    brackets = word.count("[") + word.count("{")
    if brackets > 1 or len(word) > 100_000:  # each bracket is a level of recursion in the parser
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


def refusal(path: Path, word: str, fault: str, advice: str = REPEAT) -> UserError:
    """Return the error for an override that is not accepted from a file."""
    return UserError(f"{path}: {word[:200]!r} is refused: {fault}; {advice}")


def reason_to_refuse(key: str, value: Any, known: dict[str, Any]) -> str | None:
    """Return why an option is not accepted from a file; None if it is accepted.

    Args:
        known: the options of the configuration and their unresolved values.
    """
    if is_group(key):
        return " or ".join(f"there is no such file in {folder.name}/{key}" for folder in folders())
    if FORBIDDEN.fullmatch(key):
        return "a run folder may not set where files are written or values are sent, or options of Hydra"
    if any(part.startswith("_") for part in key.split(".")):
        return "a run folder may not name classes"
    if key not in known:
        return "there is no such option"
    if key == EXTRACTORS and not all(re.fullmatch(NAME, str(name)) for name in as_list(value)):
        return "a run folder may not name classes"
    return None


def is_group(key: str) -> bool:
    """Return whether a key is a group of conf/, or of the folder that --config-dir names."""
    return re.fullmatch(NAME, key) is not None and any((folder / key).is_dir() for folder in folders())


def group_files_exist(group: str, value: Any) -> bool:
    """Return whether conf/, or the folder that --config-dir names, has all files that a group is set to."""
    names = [name if isinstance(name, str) else "" for name in as_list(value)]  # Hydra accepts strings only
    return all(
        re.fullmatch(NAME, name) and any((folder / group / f"{name}.yaml").is_file() for folder in folders())
        for name in names
    )


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- lists of overrides


def merge(stored: Iterable[str], typed: list[str]) -> list[str]:
    """Return stored overrides, then typed ones. Typed overrides replace stored ones with the same key."""
    keys = {key_of(word) for word in typed}
    return [word for word in stored if key_of(word) not in keys] + typed


def with_new_length(typed: list[str]) -> list[str]:
    """Return the overrides; if they set only one of images and minutes, also set the other to null."""
    for given, other in (("images", "minutes"), ("minutes", "images")):
        if value_of(typed, given) not in (None, "null") and value_of(typed, other) is None:
            return [*typed, f"{other}=null"]
    return typed


def without(overrides: list[str], *keys: str) -> list[str]:
    """Return the overrides without those of `keys`."""
    return [word for word in overrides if key_of(word) not in keys]


def value_of(overrides: list[str], key: str) -> str | None:
    """Return the last value of a key as text; None if there is none."""
    return next((word.partition("=")[2] for word in reversed(overrides) if key_of(word) == key), None)


def typed_value(overrides: list[str], key: str) -> Any:
    """Return the last value of a key as Hydra parses it; None if there is none.

    Raises:
        HydraException: a syntax error.
    """
    words = [word for word in overrides if key_of(word) == key]
    return OverridesParser.create().parse_override(words[-1]).value() if words else None


def parsed_value(override: str) -> Any:
    """Return the value of an override as Hydra parses it, "" for null, and None if Hydra cannot parse it."""
    try:
        value = OverridesParser.create().parse_override(override).value()
    except (HydraException, RecursionError):
        return None
    return "" if value is None else value


def alternatives(override: str) -> list[str]:
    """Return an override for each alternative of a sweep; only the override itself if it has none.

    Raises:
        HydraException: a syntax error.
    """
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_discrete_sweep():
        return [override]
    name = override.partition("=")[0]
    return [f"{name}={value}" for value in islice(parsed.sweep_string_iterator(), MAX_JOBS)]


def first_jobs(overrides: list[str]) -> list[list[str]]:
    """Return the overrides of some jobs of a sweep: the first job, and jobs that differ from it in one option.

    They are at most MAX_JOBS, and contain each alternative once if these are few. Intervals of a search are left out.

    Raises:
        HydraException: a syntax error.
    """
    choices = [alternatives(word) for word in overrides if not is_interval(word)]
    first = [words[0] for words in choices]
    others = [[*first[:index], word, *first[index + 1 :]] for index, words in enumerate(choices) for word in words[1:]]
    return [first, *others][:MAX_JOBS]


def is_interval(override: str) -> bool:
    return OverridesParser.create().parse_override(override).is_interval_sweep()


def key_of(override: str) -> str:
    """Return the key of an override without +, ~ and package."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]
