"""Paths on the command line as they are typed on a shell, converted to quoted values of Hydra's grammar.

A value that is an existing path as it was typed is that path, whatever characters it contains. Other values keep their
meaning in Hydra's grammar (lists, sweeps, interpolations), and an existing path inside a list or sweep is a path too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gan.common.errors import UserError
from gan.common.nested import with_home, without_home
from gan.data.styles import is_table
from gan.run.overrides import READ_PATHS, STYLE, key_of, parsed_value
from gan.run.paths import quote
from gan.run.secrets import hide_in_override

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")  # one path each, which need not exist yet
LISTS = ("data.root", "data.a", "data.b", STYLE)  # one path or a list of them
OPTIONS = (*READ_PATHS, *FOLDERS, "resume")
WORDS = ("", "null", "none", "true", "false", "auto", "???")  # values that are not paths; ./true is
MAX_COMMAS = 16  # that a path may contain if it is an element of a list
PAIRS = {"[": "]", "(": ")", "{": "}"}


def as_typed(words: Sequence[str], sweep: bool = False) -> list[str]:
    """Return overrides whose paths are quoted for Hydra. `~` is expanded, and paths that are read become absolute.

    Args:
        sweep: whether values may be lists of alternatives, as in `-m data.root=a,b`.

    Raises:
        UserError: alternatives without a sweep, or a path that Hydra cannot represent.
    """
    return [convert(word, sweep) if "=" in word and key_of(word) in OPTIONS else word for word in words]


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
    """Return the quoted path of a text that is an existing path, or of a quoted text; None if there is no such path.

    Raises:
        UserError: the path contains `${`, which OmegaConf would replace.
    """
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
