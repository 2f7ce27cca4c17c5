"""Overrides of Hydra, KEY=VALUE: those of an untrusted run folder, and paths as they are typed on a shell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException

from gan.config.compose import options
from gan.config.paths import folders, quote
from gan.config.secrets import hide_in_override, parsed_value
from gan.data.looks import is_table
from gan.runs import run_folder
from gan.utils.errors import UserError
from gan.utils.option_values import with_home, without_home
from gan.utils.output import print_line
from gan.utils.untrusted import is_plain

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
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")  # one path each, which need not exist yet
LISTS = ("data.root", "data.a", "data.b", STYLE)  # one path or a list of them
WORDS = ("", "null", "none", "true", "false", "auto", "???")  # values that are not paths; ./true is
MAX_COMMAS = 16  # that a path may contain if it is an element of a list
PAIRS = {"[": "]", "(": ")", "{": "}"}


# ---- lists of overrides


def key_of(override: str) -> str:
    """Return the key of an override without +, ~ and package."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def without(overrides: list[str], *keys: str) -> list[str]:
    """Return the overrides without those of `keys`."""
    return [word for word in overrides if key_of(word) not in keys]


def value_of(overrides: list[str], key: str) -> str | None:
    """Return the last value of a key as text; None if there is none."""
    return next((word.partition("=")[2] for word in reversed(overrides) if key_of(word) == key), None)


def typed_value(overrides: list[str], key: str) -> Any:
    """Return the last value of a key as Hydra parses it; None if there is none."""
    words = [word for word in overrides if key_of(word) == key]
    return OverridesParser.create().parse_override(words[-1]).value() if words else None


def with_new_length(typed: list[str]) -> list[str]:
    """Return the overrides; if they set only one of images and minutes, also set the other to null."""
    for given, other in (("images", "minutes"), ("minutes", "images")):
        if value_of(typed, given) not in (None, "null") and value_of(typed, other) is None:
            return [*typed, f"{other}=null"]
    return typed


def first_alternative(override: str) -> str:
    """Return an override with the first alternative of a sweep; the override itself if it has none."""
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_discrete_sweep():
        return override
    return f"{override.partition('=')[0]}={next(iter(parsed.sweep_string_iterator()))}"


def is_under(key: str, parents: Iterable[str]) -> bool:
    """Return whether a dotted key is one of `parents` or below one."""
    return any(key == parent or key.startswith(parent + ".") for parent in parents)


def is_group(key: str) -> bool:
    """Return whether a key is a group of conf/, or of the folder that --config-dir names."""
    return re.fullmatch(NAME, key) is not None and any((folder / key).is_dir() for folder in folders())


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- overrides of a run folder


def read_overrides(path: Path, typed: Sequence[str]) -> list[str]:
    """Return the overrides of an untrusted run folder: existing options with plain values.

    Print the paths that training will read because of them. Overrides in `typed` (the command line) are trusted and
    replace stored ones with the same key.

    Raises:
        UserError: the file cannot be read, or an override could run code, reads the environment, or writes
            outside of the run folder.
    """
    words = run_folder.read_overrides(path.parent)
    replaced = {key_of(word) for word in typed}
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


def group_files_exist(group: str, value: Any) -> bool:
    """Return whether conf/, or the folder that --config-dir names, has all files that a group is set to."""
    names = [name if isinstance(name, str) else "" for name in as_list(value)]  # Hydra accepts strings only
    return all(
        re.fullmatch(NAME, name) and any((folder / group / f"{name}.yaml").is_file() for folder in folders())
        for name in names
    )


# ---- paths as they are typed on a shell, converted to quoted values of Hydra's grammar
#
# A value that is an existing path as it was typed is that path, whatever characters it contains. Other values keep
# their meaning in Hydra's grammar (lists, sweeps, interpolations), and an existing path inside a list or sweep is a
# path too.


def as_typed(words: Sequence[str], sweep: bool = False) -> list[str]:
    """Return overrides whose paths are quoted for Hydra. `~` is expanded, and paths that are read become absolute.

    Args:
        sweep: whether values may be lists of alternatives, as in `-m data.root=a,b`.
    """
    keys = (*READ_PATHS, *FOLDERS, "resume")
    return [convert(word, sweep) if "=" in word and key_of(word) in keys else word for word in words]


def convert(word: str, sweep: bool) -> str:
    """Return an override of an option that takes a path."""
    name, _, text = word.partition("=")
    key = key_of(word)
    if key in FOLDERS:
        is_grammar = "${" in text or is_quoted(text)
        return word if is_grammar or text == "" else f"{name}={quote(expand(text))}"
    if text.lower() in WORDS:
        return word
    parts = list(split(text, key))
    if len(parts) > 1 and not sweep and not is_list(text, key, sweep):
        if key not in LISTS:
            return f"{name}={quote(expand(text))}"  # one path, which does not exist
        what = "is a list; for several filters" if key == STYLE else "no such path; for several folders"
        raise UserError(f"{word}: {what} write {key}=[{','.join(parts)}], for one run each add -m")
    return f"{name}={alternatives(text, key, sweep)}"


def alternatives(text: str, key: str, sweep: bool) -> str:
    """Return a value of Hydra's grammar: a path, a list, alternatives of a sweep, or what was typed."""
    if path := existing(text, key):
        return path
    text = text.strip()
    if is_list(text, key, sweep):
        return "[" + ",".join(alternatives(part, key, sweep) for part in split(text[1:-1], key)) + "]"
    parts = list(split(text, key))
    return missing(text, key) if len(parts) == 1 else ",".join(alternatives(part, key, sweep) for part in parts)


def is_list(text: str, key: str, sweep: bool) -> bool:
    """Return whether a text is one list. With `sweep`, it may also be several lists between commas."""
    if not (text.startswith("[") and text.endswith("]")) or existing(text, key):
        return False
    return not sweep or closes(text) == len(text) or all(existing(part, key) for part in split(text[1:-1], key))


def split(text: str, key: str) -> Iterator[str]:
    """Yield the parts between commas. An existing path may contain commas itself; brackets and quotes protect them."""
    while True:
        commas = [index for index, letter in enumerate(text) if letter == ","][:MAX_COMMAS]
        ends = [end for end in (len(text), *reversed(commas)) if existing(text[:end], key)]
        end = ends[0] if ends else first_comma(text)
        yield text[:end]
        if end >= len(text):
            return
        text = text[end + 1 :]


def first_comma(text: str) -> int:
    """Return the index of the first comma outside of brackets and quotes; the length if there is none."""
    index = 0
    while index < len(text) and text[index] != ",":
        index = closes(text, index) if text[index] in "[({'\"" else index + 1
    return min(index, len(text))


def closes(text: str, start: int = 0) -> int:
    """Return the index after the bracket or quote that closes the one at `start`; the length if it is not closed."""
    if text[start] in "'\"":
        end = start + 1
        while end < len(text) and text[end] != text[start]:
            end += 1 + (text[end] == "\\")
        return min(end + 1, len(text))
    end = start + 1
    while end < len(text) and text[end] != PAIRS[text[start]]:
        end = closes(text, end) if text[end] in "[({'\"" else end + 1
    return min(end + 1, len(text))


def existing(text: str, key: str) -> str | None:
    """Return the quoted path of a text that is an existing path, or of a quoted text; None if there is no such path."""
    if key == STYLE and not is_table(text.strip("'\"")):
        return None
    paths = (expand(text), Path(text), expand(text.lstrip()))
    path = next((path for path in paths if text.strip() and os.path.lexists(path)), None)
    if path is None:
        value = parsed_value(f"{key}={text}") if is_quoted(text) else None
        return existing(value, key) if isinstance(value, str) else None
    if "${" in text:
        raise UserError(f"{key}={text}: a path with ${{ is not supported; rename it, or use a link to it")
    return quote(Path(os.path.abspath(path)) if key in READ_PATHS else path)


def missing(text: str, key: str) -> str:
    """Return the value for a path that does not exist: Hydra's own meaning, or the path if Hydra cannot read it."""
    if text.startswith("~"):
        return quote(expand(text))
    return text if text == "" or parsed_value(f"{key}={text}") is not None else quote(text)


def expand(text: str) -> Path:
    """Return a path with `~` expanded, as a shell does."""
    return Path(with_home(text))


def is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def stored(word: str) -> str:
    """Return an override as it is written to a run folder: without secrets, and the home folder is ~."""
    value = parsed_value(word) if key_of(word) in READ_PATHS else None
    if isinstance(value, str):
        word = f"{word.partition('=')[0]}={quote(without_home(value))}"
    elif isinstance(value, list) and all(isinstance(each, str) for each in value):
        word = f"{word.partition('=')[0]}=[{','.join(quote(without_home(each)) for each in value)}]"
    return hide_in_override(word)
