"""Looks that are color tables in files: `.cube`, or a HaldCLUT as `.png`."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np

from gan.common import digest
from gan.common.errors import UserError, reason
from gan.common.home import with_home
from gan.data.color_table import files
from gan.data.color_table.names import is_table
from gan.data.styles.filter import Filter, FloatImage

RECORDED = "table:"  # precedes the digest of a file


def table_filter(name: str) -> Filter:
    """Return the filter of a file with a color table.

    Raises:
        UserError: the file cannot be read.
    """
    path = with_home(name)
    try:
        about = os.stat(path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({reason(error)}); give a .cube file, or a HaldCLUT as .png"
        ) from error
    return _filter(os.path.abspath(path), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _filter(path: str, modified: int, size: int) -> Filter:
    """Return the filter of a file. It is read again when it has changed."""
    table = files.read(path)

    def apply(image: FloatImage, rng: np.random.Generator) -> FloatImage:
        return table.apply(image)

    return apply


def recorded(name: str) -> str:
    """Return the word that names a file by its contents."""
    return f"{RECORDED}{digest.of_file(Path(with_home(name)))}"


def contents(names: list[str]) -> list[str]:
    """Return what `recorded` returns for the files among the names of filters."""
    return [recorded(name) for name in names if is_table(name)]
