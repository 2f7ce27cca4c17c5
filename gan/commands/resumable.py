"""Save the intermediate results of a long command, so that rerunning it continues where it was interrupted."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan.common.files import write_atomically
from gan.common.untrusted import read_json

IGNORED = ("execute", "force")  # options that do not change results
MAX_BYTES = 64_000_000  # maximum size of a file of results
UNFINISHED: set[Path] = set()  # the files of results of this process


class Results:
    """Results by name, stored as JSON. Each is written as soon as it is computed.

    Args:
        folder: the command's output folder.
        arguments: the command's options. Each set of options and dependencies has its own file of results.
        depends_on: other dependencies of the results: digests, or files, whose contents count.
    """

    def __init__(self, folder: Path, arguments: argparse.Namespace, *depends_on: str | Path) -> None:
        options = sorted((name, str(value)) for name, value in vars(arguments).items() if name not in IGNORED)
        key = hashlib.blake2b(json.dumps(options).encode(), digest_size=8)
        for each in depends_on:
            if isinstance(each, str) or each.is_file():
                key.update(each.encode() if isinstance(each, str) else each.read_bytes())
        self.path = folder / f".unfinished-{key.hexdigest()}.json"
        self.started = self.path.is_file()
        self.values: dict[str, Any] = read(self.path) if self.started else {}
        if self.values:
            print(f"resuming with {len(self.values)} results of an interrupted command")

    def write(self) -> None:
        """Write the results. A file without results shows that the command was started.

        Raises:
            OSError: the file cannot be written.
        """
        text = json.dumps(self.values)
        write_atomically(self.path, lambda file: file.write(text.encode()))
        UNFINISHED.add(self.path)

    def get(self, name: str, compute: Callable[[], Any], is_valid: Callable[[Any], bool] = lambda value: True) -> Any:
        """Return the result with this name; compute and write it if it is missing or invalid.

        Args:
            compute: returns the result.
            is_valid: returns whether a value read from the file can be a result of `compute`.

        Raises:
            OSError: the file cannot be written.
        """
        if name not in self.values or not is_valid(self.values[name]):
            self.values[name] = compute()
            self.write()
        return self.values[name]

    def remove(self) -> None:
        """Delete the file. Call this when the command has finished."""
        self.path.unlink(missing_ok=True)
        UNFINISHED.discard(self.path)


def read(path: Path) -> dict[str, Any]:
    """Return the results in a file; an empty dict if it is missing or damaged, for example by a full disk."""
    try:
        values = read_json(path, MAX_BYTES)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
