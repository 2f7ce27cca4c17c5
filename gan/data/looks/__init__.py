"""Looks: filters for photographs, color tables, and their registry. No NumPy here, because commands start with it."""

import os

SUFFIXES = (".cube", ".png")  # of files with color tables; a PNG is a HaldCLUT


def is_table(name: str) -> bool:
    """Return whether a name, such as that of a style, is the name of a file with a color table."""
    return os.path.splitext(name)[1].lower() in SUFFIXES
