"""Export a look, or a translator that maps colors, as a color table for other programs: `.cube` or HaldCLUT."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.data.styles import is_table, table_files
from gan.data.styles.color_table import ColorTable, table_of
from gan.data.styles.to_table import table_of_look
from gan.sharing.translations import software

if TYPE_CHECKING:
    from gan.inference.image_translator import Look
    from gan.inference.translator import Translator
    from gan.networks.transfer.color_map import ColorMap

SUFFIXES = {"cube": ".cube", "hald": ".png"}
SIZES = (17, 33, 65)  # entries along each axis
MAX_NAME = 60  # characters of a file's name


class Exported(NamedTuple):
    """A table to write.

    Attributes:
        name: of the file, without its suffix.
        table: of three axes, on the domain 0..1.
        lost: what the table does not hold.
    """

    name: str
    table: ColorTable
    lost: Sequence[str] = ()


def size_for(to: str, size: int) -> int:
    """Return the entries along each axis of a table in a format: a HaldCLUT has L^2 for an integer L."""
    return table_files.level_for(size) ** 2 if to == "hald" else size


def of_look(look: Look, size: int) -> Exported:
    """Return the table of a look; raise UserError if it is not a function of colors.

    A look that is one file with a table is converted.
    """
    name = "_".join(Path(each).stem if is_table(each) else each for each in look.names)
    found = table_of_look(look.filters, size, name)
    lost = []
    if found.averaged:
        lost.append(f"only the mean of {' and '.join(found.averaged)} over flat areas is kept")
    if found.left_out:
        lost.append(f"{' and '.join(found.left_out)}: left out, because random")
    if found.averaged:
        share = f"{100 * found.explained:.0f} %"
        lost.append(f"the table makes {share} of the change that the look makes to areas of photographs")
    return Exported(file_name(name), found.table, lost)


def file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:MAX_NAME]


def of_color_map(color_map: ColorMap, size: int, name: str) -> Exported:
    """Return the table of a color map in closed form. `name` is that of the target images."""
    from gan.sharing.export.lut_table import flat_areas, places_of

    title = Path(os.path.abspath(name)).name
    places, lost = places_of(color_map)
    return Exported(file_name(title), table_of(flat_areas(color_map.forward_tile, *places), size, title), lost)


def of_translator(model: Translator, size: int, name: str, images: Callable[[], Any]) -> Exported:
    """Return the table of a trained translator that maps colors: model=lut, or the color map of model=style.

    Args:
        images: returns the inputs, uint8 (N, C, H, W), whose mean mix of LUTs is used.

    Raises:
        UserError: the translator changes more than colors.
    """
    from gan.networks import lut, style
    from gan.sharing.export import lut_table

    if isinstance(model.network, style.Generator):
        found = of_color_map(model.network.start, size, name)
        return found._replace(name="translator", lost=[*found.lost, "texture is left out"])
    if not isinstance(model.network, lut.Generator):
        raise UserError(
            f"{name}: its colors depend on other pixels; only a look, model=lut or model=style has a color table"
        )
    change, lost = lut_table.mean_function(model.network, images())
    return Exported("translator", table_of(change, size, Path(name).name), lost)


def encode(found: Exported, to: str) -> bytes:
    """Return the bytes of a file, which says as a comment what is lost. `to` is "cube" or "hald"."""
    comments = [software(), *(f"lost: {each}" for each in found.lost)]
    return (
        table_files.encode_cube(found.table, comments)
        if to == "cube"
        else table_files.encode_hald(found.table, "\n".join(comments))
    )


def write(found: Exported, to: str, out: Path, force: bool, source: str | None = None) -> Path:
    """Write a table to a folder, atomically, and return the path.

    Args:
        to: "cube" or "hald".
        force: overwrite an existing file.
        source: what the table was made from, which may be a file.

    Raises:
        UserError: the file exists already, is the source, or cannot be written.
    """
    path = out / f"{found.name}{SUFFIXES[to]}"
    if source and os.path.realpath(path) == os.path.realpath(source):
        raise UserError(f"{path}: is the table that is exported; give another --out")
    if not force and path.exists():
        raise UserError(f"{path}: exists already; use --force to overwrite")
    data = encode(found, to)
    with writing(out):
        write_atomically(path, lambda file: file.write(data))
    return path
