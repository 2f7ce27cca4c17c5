"""Names of files with color tables. No NumPy, because the command line needs them before it starts."""

from __future__ import annotations

import os

SUFFIXES = (".cube", ".png")  # a PNG is a HaldCLUT


def is_table(name: str) -> bool:
    """Return whether a name, such as that of a style, is the name of a file with a color table."""
    return os.path.splitext(name)[1].lower() in SUFFIXES
