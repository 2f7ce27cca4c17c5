"""Read untrusted YAML, JSON and headers of safetensors: plain values only, with limits. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import yaml

from gan.utils.errors import UserError, reason

MAX_BYTES = 1 << 18  # maximum size of a YAML file; config.yaml of a run has about 8 kB
MAX_JSON = 1 << 20  # maximum size of a JSON file in bytes
MAX_HEADER = 4 << 20  # maximum size of the header of a safetensors file in bytes; enough for 30,000 tensors
MIN_CONTAINER = 8  # mean length of a list or object in a JSON text, in bytes; an empty one takes 60 bytes of memory
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_SCALAR = 8192  # characters; PATH_MAX is 4096
MAX_OPTION = 2**16  # largest number in a network's options, such as widths, sides and layers
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, as plain containers.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file cannot be read, is not YAML, exceeds a limit, or has values that this program never writes.
    """
    try:
        return parse_yaml(read_bytes(path, MAX_BYTES).decode())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text, as plain containers.

    Raises:
        ValueError, OverflowError, RecursionError, yaml.YAMLError: as `read_yaml`, except for files.
    """
    check_events(text)
    tree = Loader(text).get_single_data()
    if wrong := find_fault(tree):
        raise ValueError(f"it {wrong}")
    return tree


def check_events(text: str) -> None:
    """Raise ValueError if a YAML text has aliases or tags, or exceeds MAX_DEPTH or MAX_NODES.

    The check reads parser events, before any object is built: nested aliases expand exponentially, and deep nesting
    exceeds the stack of the C library.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ValueError("it has aliases or tags")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise ValueError("it is too deep or too large")


def find_fault(tree: object) -> str | None:
    """Return why containers are invalid: too large, or not plain values as this program writes them. None if valid.

    The function uses no recursion, because the containers may be nested deeper than the recursion limit. They may also
    contain the same list a million times.
    """
    level, count = [tree], 0
    for _ in range(MAX_DEPTH + 1):
        inside: list[Any] = []
        count += len(level)
        for value in level:
            if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
                return "has keys that are not strings"
            if isinstance(value, dict):
                inside += [*value, *value.values()]
            elif isinstance(value, list | tuple):
                inside += value
            elif isinstance(value, str) and len(value) > MAX_SCALAR:
                return "contains a string that is too long"
            elif isinstance(value, int) and abs(value) >= 2**63:
                return "contains a number that is too large"
            elif not isinstance(value, str | int | float | None):
                return f"contains a {type(value).__name__}"
            if count + len(inside) > 2 * MAX_NODES:  # keys count, too
                return "is too deep or too large"
        level = inside
    return "is too deep or too large" if level else None


def read_json(path: Path, max_bytes: int = MAX_JSON) -> Any:
    """Return the value of a JSON file; raise OSError, or ValueError if it is not JSON, or exceeds a limit."""
    return parse_json(read_bytes(path, max_bytes))


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; raise OSError, or ValueError for a pipe or device, which could block forever."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    return open(path, "rb")


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a file; raise as `open_regular`, or ValueError if it is larger than `max_bytes`."""
    with open_regular(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"it has more than {max_bytes:,} bytes")
    return data


def parse_json(data: bytes | str) -> Any:
    """Return the value of a JSON text; raise ValueError if it is not JSON, nested too deep, or has too many lists."""
    text = data if isinstance(data, str) else data.decode()
    if MIN_CONTAINER * (text.count("[") + text.count("{")) > MAX_JSON + len(text):
        raise ValueError("it has too many lists and objects")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata. The library checks sizes against the file.

    Raises:
        UserError: the file is missing, damaged or not a regular file, or its header is longer than MAX_HEADER.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open_regular(path) as start:
            length = int.from_bytes(start.read(8), "little")
        if length > MAX_HEADER:  # which the library would read as a whole
            raise ValueError(f"its header has {length:,} bytes")
        with safe_open(str(path), "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as safetensors ({reason(error)})") from error


def is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(not isinstance(item, list) and is_plain(item) for item in value)
    if isinstance(value, str):
        return "${" not in value and len(value) <= MAX_SCALAR
    return value is None or isinstance(value, bool | int | float)
