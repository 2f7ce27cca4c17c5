"""The home folder, which is stored as ~, so that files of a run do not tell the name of the user."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def without_home(value: Any) -> Any:
    """Return nested containers, in which paths below the home folder begin with ~."""
    return map_strings(value, _shorten)


def with_home(value: Any) -> Any:
    """Return a path, or nested containers of paths, with ~ expanded as a shell does."""
    return map_strings(value, os.path.expanduser)


def _shorten(path: str) -> str:
    home = os.path.expanduser("~").rstrip(os.sep)
    if home and (path == home or path.startswith(home + os.sep)):
        return "~" + path[len(home) :]
    return path


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return nested containers with a function applied to every string in them; keys stay as they are."""
    if isinstance(value, dict):
        return {key: map_strings(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(each, change) for each in value]
    return change(value) if isinstance(value, str) else value
