"""Overrides in Hydra's grammar, KEY=VALUE: lists of them, paths as typed on a shell, and secrets in them. No torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import ListConfig, OmegaConf

from gan import settings
from gan.config.paths import folders
from gan.config.secrets import MISSING, hide, name_variables
from gan.looks import is_table
from gan.utils.errors import UserError
from gan.utils.option_values import quote, with_home, without_home

STYLE = "data.style"  # a path only if it is a file with a color table
DATA_PATHS = tuple(f"data.{name}" for name in settings.DATA_PATHS)
READ_PATHS = (*DATA_PATHS, "init_from", "model.discriminator.weights")  # weights: not if a run is resumed
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")  # one path each, which need not exist yet
derived: set[str] = set()  # keys of overrides that the program has added to those of this command line
WORDS = ("", "null", "none", "true", "false", "auto", "???")  # values that are not paths; ./true is


# ---- an override in Hydra's grammar


def parse(override: str) -> Override:
    """Return an override as Hydra parses it; raise HydraException if it cannot."""
    return OverridesParser.create().parse_override(override)


def parsed_value(override: str) -> Any:
    """Return the value of an override as Hydra parses it; None for null, and if Hydra cannot parse it."""
    try:
        return parse(override).value()
    except (HydraException, RecursionError):
        return None


# ---- lists of overrides


def words_of(overrides: ListConfig) -> list[str]:
    """Return Hydra's list of overrides as they were typed; reading its items would resolve interpolations."""
    words = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0]


def is_group(key: str) -> bool:
    return re.fullmatch(r"\w+", key, re.ASCII) is not None and any((folder / key).is_dir() for folder in folders())


def without(overrides: list[str], *keys: str) -> list[str]:
    return [word for word in overrides if key_of(word) not in keys]


def value_of(overrides: list[str], key: str) -> str | None:
    """Return the last value of a key as text; None if there is none."""
    return next((word.partition("=")[2] for word in reversed(overrides) if key_of(word) == key), None)


def typed_value(overrides: list[str], key: str) -> Any:
    """Return the last value of a key as Hydra parses it; None if there is none."""
    words = [word for word in overrides if key_of(word) == key]
    return parse(words[-1]).value() if words else None


def first_alternative(override: str) -> str:
    """Return an override with the first alternative of a sweep; the override itself if it has none."""
    parsed = parse(override)
    if not parsed.is_discrete_sweep():
        return override
    return f"{override.partition('=')[0]}={next(iter(parsed.sweep_string_iterator()))}"


def reads_data(key: str, value: object) -> bool:
    """Return whether the value of an option is a path, or a list with one, that training reads."""
    return key in DATA_PATHS and value is not None and (key != STYLE or any(map(is_table, map(str, as_list(value)))))


def as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def is_under(key: str, parents: Iterable[str]) -> bool:
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)


# ---- secrets, and what is stored


def conceal(word: str) -> str:
    """Return a word of the command line whose secrets are replaced with ${oc.env:NAME}, so that no library writes them.

    The value of an option such as `api_key`, and an address with a password or a token, move to a new environment
    variable, which child processes inherit. The run uses the same value as was typed.
    """
    word = name_variables(word)
    key, separator, value = word.partition("=")
    if not separator or value in ("", "null", MISSING) or "${" in value or hide_in_override(word) == word:
        return word
    if word.startswith("-"):
        return hide_in_override(word)
    is_container = value[0] in "[{"
    value = value[1:-1] if value[0] in "'\"" and value[0] == value[-1] else value
    first = re.sub(r"\W", "_", f"RETRO_GAN_{key.lstrip('+~').rpartition('.')[2].upper()}")
    names = (first, *(f"{first}_{n}" for n in range(2, 1000)))  # several loggers may have a token
    name = next(name for name in names if os.environ.get(name) in (None, "", value))
    os.environ[name] = value
    return f"{key}='${{oc.decode:${{oc.env:{name}}}}}'" if is_container else f"{key}=${{oc.env:{name}}}"


def hide_in_override(word: str) -> str:
    """Return an override KEY=VALUE, or another word of a command line, without secrets."""
    key, separator, value = word.partition("=")
    if not separator:
        return str(hide(word))
    option, value = key.lstrip("+~-"), name_variables(value)
    if value[:1] in ("[", "{"):
        plain = parsed_value(f"x={value}")
        return f"{key}={MISSING if plain is None or hide(plain, option) != plain else value}"
    return f"{hide(key)}={hide(value, option)}"


def stored(word: str) -> str:
    """Return an override as it is written to a run folder: without secrets, and the home folder is ~."""
    value = parsed_value(word) if key_of(word) in READ_PATHS else None
    if isinstance(value, str):
        word = f"{word.partition('=')[0]}={quote(without_home(value))}"
    elif isinstance(value, list) and all(isinstance(path, str) for path in value):
        word = f"{word.partition('=')[0]}=[{','.join(quote(without_home(path)) for path in value)}]"
    return hide_in_override(word)


# ---- paths as they are typed on a shell, converted to quoted values of Hydra's grammar


def as_typed(words: Sequence[str], sweep: bool = False) -> list[str]:
    """Return overrides whose paths are quoted for Hydra. `~` is expanded, and paths that are read become absolute.

    A value that is an existing path as it was typed is that path, whatever characters it contains. Other values keep
    their meaning in Hydra's grammar: lists, alternatives of a sweep, interpolations.

    Args:
        sweep: whether values may be lists of alternatives, as in `-m data.root=a,b`.
    """
    converted = []
    for word in words:
        name, separator, text = word.partition("=")
        if separator and key_of(word) in (*READ_PATHS, *FOLDERS, "resume"):
            text = convert(key_of(word), text, sweep)
        converted.append(f"{name}{separator}{text}")
    return converted


def convert(key: str, text: str, sweep: bool) -> str:
    """Return the value of an option that takes a path, in Hydra's grammar."""
    if key in FOLDERS:
        is_quoted = text[:1] + text[-1:] in ("''", '""')
        return text if text == "" or "${" in text or is_quoted else quote(with_home(text))
    if text.lower() in WORDS:
        return text
    if path := existing(text, key):
        return path
    try:
        parsed = parse(f"{key}={text}")
    except HydraException:  # such as letters outside of ASCII, or a path with parentheses that does not exist
        if text[0] + text[-1] != "[]":
            return ",".join(element(part, key) for part in (text.split(",") if sweep else [text]))
        value: Any = [part.strip() for part in text[1:-1].split(",")]
    else:
        if parsed.is_choice_sweep():  # without -m, Hydra's error says how to write a list
            return ",".join(convert(key, part, False) for part in parsed.sweep_string_iterator()) if sweep else text
        value = parsed.value()
    if isinstance(value, list):
        return "[" + ",".join(element(part, key) for part in value) + "]"
    return (isinstance(value, str) and existing(value, key)) or text  # a path in quotes, or what is no path


def element(value: object, key: str) -> str:
    """Return an element of a list, or an alternative of a sweep, in Hydra's grammar. Every text is taken as a path."""
    text = str(value)
    return existing(text, key) or (quote(with_home(text)) if isinstance(value, str) else json.dumps(value))


def existing(text: str, key: str) -> str | None:
    """Return the quoted path of a text that is an existing path, or begins with ~; None for any other text."""
    if key == STYLE and not is_table(text):
        return None
    path = next((path for path in (with_home(text), text) if text.strip() and os.path.lexists(path)), None)
    if path is None:
        return quote(with_home(text)) if text.startswith("~") else None
    if "${" in text:
        raise UserError(f"{key}={text}: a path with ${{ is not supported; rename it, or use a link to it")
    return quote(os.path.abspath(path) if key in READ_PATHS else Path(path))
