"""Read a color table from a file by its extension: `.cube`, or `.png` for a HaldCLUT."""

from __future__ import annotations

import os
from pathlib import Path

from gan.common.errors import UserError
from gan.data.color_table import cube, hald
from gan.data.color_table.table import ColorTable

READERS = {".cube": cube.read, ".png": hald.read}


def read(path: str | os.PathLike[str]) -> ColorTable:
    """Return the table of a file.

    Raises:
        UserError: the file does not exist, or its content is not valid.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file; give a .cube file, or a HaldCLUT as .png")
    return READERS[file.suffix.lower()](file)
