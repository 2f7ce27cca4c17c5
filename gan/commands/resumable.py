"""What a long command has found so far, so that the same command goes on where it was interrupted."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan.common.files import write_atomically
from gan.common.untrusted import read_json

HOW = ("execute", "force")  # of a command's options, on which what it finds does not depend
LARGEST = 64_000_000  # bytes of a file that may be of this program


class Findings:
    """Values by name, as JSON has them, each written as soon as it is found.

    Args:
        folder: that the command writes to.
        arguments: its options.
        of: what else the values depend on: digests, or files by what they hold, where they are there. What was found
            with others lies apart.
    """

    def __init__(self, folder: Path, arguments: argparse.Namespace, *of: str | Path) -> None:
        options = sorted((name, str(value)) for name, value in vars(arguments).items() if name not in HOW)
        asked = hashlib.blake2b(json.dumps(options).encode(), digest_size=8)
        for each in of:
            if isinstance(each, str) or each.is_file():
                asked.update(each.encode() if isinstance(each, str) else each.read_bytes())
        self.path = folder / f".unfinished-{asked.hexdigest()}.json"
        self.begun = self.path.is_file()
        self.values: dict[str, Any] = stored(self.path) if self.begun else {}
        if self.values:
            print(f"going on with {len(self.values)} of what was found before")

    def write(self) -> None:
        """Keep what there is, if only that the command was begun.

        Raises:
            OSError: it cannot be written.
        """
        text = json.dumps(self.values)
        write_atomically(self.path, lambda file: file.write(text.encode()))

    def take(self, name: str, find: Callable[[], Any], fits: Callable[[Any], bool] = lambda value: True) -> Any:
        """The value of that name, found now if it was not before.

        Args:
            fits: whether a value is such as `find` gives: one in a file that lies there may be of anything.

        Raises:
            OSError: it cannot be written.
        """
        if name not in self.values or not fits(self.values[name]):
            self.values[name] = find()
            self.write()
        return self.values[name]

    def done(self) -> None:
        """All is written where it belongs."""
        self.path.unlink(missing_ok=True)


def stored(path: Path) -> dict[str, Any]:
    """The values in a file; none where it is damaged, as one of a disk that was full."""
    try:
        values = read_json(path, LARGEST)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
