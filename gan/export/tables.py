"""Export a look as a color table for other programs, `.cube` or HaldCLUT, and write such files. No torch.

`gan.export.network_tables` has the tables of translators.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gan.data.looks import color_table, is_table
from gan.data.looks.color_table import ColorTable
from gan.data.looks.registry import table_of_look
from gan.export.record import software
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically

if TYPE_CHECKING:
    from gan.translation.image_translator import Look

SUFFIXES = {"cube": ".cube", "hald": ".png"}
MAX_NAME = 60  # characters of a file's name


class Exported(NamedTuple):
    """A table to write."""

    name: str  # of the file, without its suffix
    table: ColorTable  # of three axes, on the domain 0..1
    lost: Sequence[str] = ()  # what the table does not hold


def size_for(to: str, size: int) -> int:
    """Return the entries along each axis of a table in a format: a HaldCLUT has L^2 for an integer L."""
    return color_table.level_for(size) ** 2 if to == "hald" else size


def of_look(look: Look, size: int) -> Exported:
    """Return the table of a look; raise UserError if it is not a function of colors.

    A look that is one file with a table is converted.
    """
    name = "_".join(Path(each).stem if is_table(each) else each for each in look.names)
    made = table_of_look(look.filters, size, name)
    lost = []
    if made.averaged:
        lost.append(f"only the mean of {' and '.join(made.averaged)} over flat areas is kept")
    if made.left_out:
        lost.append(f"{' and '.join(made.left_out)}: left out, because random")
    if made.averaged:
        share = f"{100 * made.explained:.0f} %"
        lost.append(f"the table makes {share} of the change that the look makes to areas of photographs")
    return Exported(file_name(name), made.table, lost)


def file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:MAX_NAME]


def encode(exported: Exported, to: str) -> bytes:
    """Return the bytes of a file, which says as a comment what is lost. `to` is "cube" or "hald"."""
    comments = [software(), *(f"lost: {each}" for each in exported.lost)]
    return (
        color_table.encode_cube(exported.table, comments)
        if to == "cube"
        else color_table.encode_hald(exported.table, "\n".join(comments))
    )


def write(exported: Exported, to: str, out: Path, force: bool, source: str | None = None) -> Path:
    """Write a table to a folder, atomically, and return the path.

    Args:
        to: "cube" or "hald".
        force: overwrite an existing file.
        source: what the table was made from, which may be a file. It is never overwritten.
    """
    path = out / f"{exported.name}{SUFFIXES[to]}"
    if source and os.path.realpath(path) == os.path.realpath(source):
        raise UserError(f"{path}: is the table that is exported; give another --out")
    if not force and path.exists():
        raise UserError(f"{path}: exists already; use --force to overwrite")
    data = encode(exported, to)
    with writing(out):
        write_atomically(path, lambda file: file.write(data))
    return path
