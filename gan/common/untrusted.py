"""Reading YAML and JSON that may come from a stranger: bounded in size, depth and time, plain values only. No torch."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from gan.common.errors import UserError

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
        text = read_bytes(path, MAX_BYTES).decode()
        check_events(text)
        found = Loader(text).get_single_data()
        if wrong := fault(found):
            raise ValueError(f"it {wrong}")
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


def fault(tree: Any) -> str | None:
    """Why containers are not as this program writes them, plain and of a size that people write; or None if they are.

    Not by recursion: it may be deeper than that goes, and hold one list a million times.
    """
    left: list[tuple[Any, int]] = [(tree, 0)]
    seen = 0
    while left:
        value, depth = left.pop()
        seen += 1
        if depth > MAX_DEPTH or seen + len(left) > MAX_NODES:
            return "is too deep or too large"
        if isinstance(value, dict):
            if not all(isinstance(key, str) and len(key) <= MAX_SCALAR for key in value):
                return "has names that are no texts"
            inside = list(value.values())
        elif isinstance(value, list | tuple):
            inside = list(value)
        elif isinstance(value, str) and len(value) > MAX_SCALAR:
            return "holds a text that is too long"
        elif isinstance(value, int) and abs(value) >= 2**63:
            return "holds a number that is too large"
        elif not isinstance(value, str | int | float | None):
            return f"holds a {type(value).__name__}"
        else:
            continue
        if len(inside) > MAX_NODES:
            return "is too deep or too large"
        left += [(each, depth + 1) for each in inside]
    return None


def read_json(path: Path, max_bytes: int = MAX_JSON) -> Any:
    """The value of a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON, or larger or deeper than can be read.
    """
    return parse_json(read_bytes(path, max_bytes))


def read_bytes(path: Path, most: int) -> bytes:
    """What a file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds more than so many bytes, or is a pipe or device, which might be waited for without end.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return data


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
