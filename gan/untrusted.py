"""Reading YAML and JSON that may come from a stranger: bounded in size, depth and time, plain values only. No torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from gan.errors import UserError

MAX_BYTES = 1 << 18  # of a YAML file; a run's config.yaml has some 8 kB
MAX_JSON = 1 << 20  # bytes of a JSON file
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_SCALAR = 8192  # characters; PATH_MAX is 4096
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Scalar = None | bool | int | float | str


def read_yaml(path: Path) -> Any:
    """The plain containers of a YAML file.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be read, is not YAML, or is larger, deeper or otherwise built than this program writes.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        text = data.decode()
        check_events(text)
        found = Loader(text).get_single_data()
        check_values(found)
        return found
    except FileNotFoundError:
        raise
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error


def check_events(text: str) -> None:
    """ValueError where a YAML text has aliases or tags, or is beyond MAX_DEPTH, MAX_NODES or MAX_SCALAR.

    It is looked at event by event, before anything is built: aliases within aliases make a few bytes grow without end.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ValueError("it has aliases or tags")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if count > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES:,} values")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
            raise ValueError(f"it has a value of more than {MAX_SCALAR:,} characters")


def check_values(value: Any) -> None:
    """ValueError where containers hold anything but texts and numbers of 64 bits: no dates, no integers without end."""
    if isinstance(value, dict):
        for key, item in value.items():
            check_values(key)
            check_values(item)
    elif isinstance(value, list):
        for item in value:
            check_values(item)
    elif isinstance(value, int):
        if abs(value) >= 1 << 63:
            raise ValueError("it has an integer of more than 64 bits")
    elif not (value is None or isinstance(value, str | float)):
        raise ValueError(f"it has a value of type {type(value).__name__}")


def read_json(path: Path, max_bytes: int = MAX_JSON) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or larger or deeper than can be read.
    """
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return parse_json(data)


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text; ValueError where it is none, or is nested too deep."""
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def is_plain(value: Any) -> bool:
    """Whether a value is a scalar or a list of scalars, without an interpolation."""
    return all(map(is_scalar, value)) if isinstance(value, list) else is_scalar(value)


def is_scalar(value: Any) -> bool:
    if isinstance(value, str):
        return "${" not in value and len(value) <= MAX_SCALAR
    return value is None or isinstance(value, bool | int | float)


def reason(error: BaseException) -> str:
    """What is wrong, in one line."""
    words = getattr(error, "strerror", None) or getattr(error, "problem", None) or str(error) or type(error).__name__
    return " ".join(re.sub(r"[^\x20-\x7e\s]", "?", str(words)).split())
