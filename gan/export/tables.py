"""Color tables for other programs, as `.cube` files: of looks, color maps, and translators of colors.

A table of a color map or a translator is what remains of it without positions and neighborhoods.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.export.parts import example_images
from gan.images.convert import to_float, to_uint8
from gan.looks import color_table, is_table
from gan.looks.color_table import ColorTable, table_of
from gan.looks.registry import table_of_look
from gan.metrics.pixels import luminance
from gan.models.loading import load_data
from gan.networks import lut, style
from gan.networks.closed_form.color_map import ColorMap
from gan.networks.tile_position import TilePosition
from gan.records.record import software
from gan.translation.tiling import thumbnail
from gan.translation.translator import Translator
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing, write_bytes
from gan.utils.option_values import pair
from gan.utils.output import print_line

if TYPE_CHECKING:
    from gan.translation.image_translator import Look

MAX_NAME = 60  # characters of a file's name
NUM_INPUTS = 128
PLACES, FRAME = 16, 3  # rows and columns at which a map with position is averaged, and those left out at each edge

Colors = Callable[[np.ndarray], np.ndarray]  # images (H, W, 3), float in 0..1; each pixel by its color


class Exported(NamedTuple):
    """A table to write."""

    name: str  # of the file, without its suffix
    table: ColorTable
    lost: Sequence[str] = ()  # what the table does not hold


def of_look(look: Look, size: int) -> Exported:
    """Return the table of a look; raise UserError if it is not a function of colors.

    A look that is one file with a table is converted.
    """
    name = "_".join(Path(each).stem if is_table(each) else each for each in look.names)
    table, left_out = table_of_look(look.filters, size, name)
    reason = "left out, because a table cannot depend on positions, other pixels or noise"
    return Exported(file_name(name), table, [f"{' and '.join(left_out)}: {reason}"] if left_out else [])


def file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:MAX_NAME]


def write(exported: Exported, out: Path, force: bool, source: str | None = None) -> Path:
    """Write a table to a folder, atomically, with a comment that says what is lost, and return the path.

    Args:
        force: overwrite an existing file.
        source: what the table was made from, which may be a file. It is never overwritten.
    """
    path = out / f"{exported.name}.cube"
    if source and os.path.realpath(path) == os.path.realpath(source):
        raise UserError(f"{path}: is the table that is exported; give another --out")
    refuse_existing([path], force)
    comments = [software(), *(f"lost: {each}" for each in exported.lost)]
    data = color_table.encode_cube(exported.table, comments)
    with writing(out):
        write_bytes(path, data)
    return path


# ---- color maps and translators


def of_color_map(color_map: ColorMap, size: int, name: str) -> Exported:
    title = Path(os.path.abspath(name)).name
    places, lost = places_of(color_map)
    return Exported(file_name(title), table_of(flat_areas(color_map.forward_tile, *places), size, title), lost)


def of_translator(model: Translator, size: int, name: str, images: Callable[[], Tensor]) -> Exported:
    """Return the table of a trained translator: model=lut, or the color map of model=style.

    Args:
        images: returns the inputs, uint8 (N, C, H, W), whose mean mix of LUTs is used.
    """
    if isinstance(model.network, style.Generator):
        start = of_color_map(model.network.start, size, name)
        return start._replace(name="translator", lost=[*start.lost, "texture is left out"])
    if not isinstance(model.network, lut.Generator):
        why = "its colors depend on other pixels; only a look, model=lut or model=style has a color table"
        raise UserError(f"{name}: {why}")
    colors, lost = mean_function(model.network, images())
    return Exported("translator", table_of(colors, size, Path(name).name), lost)


@torch.inference_mode()
def mean_function(network: lut.Generator, images: Tensor) -> tuple[Colors, list[str]]:
    """Return the function of colors of a network, for the mean of images uint8 (N, C, H, W), and what it loses."""
    contexts = network.global_context(to_float(thumbnail(images, network.thumbnail_size)))
    mean = contexts.mean(0, keepdim=True)
    (places, margin), lost = places_of(network.start)
    if contexts.shape[0] > 1 and network.entries.shape[0] > 1:
        apart = float((contexts - mean).abs().mean() * 127.5)
        mixed = f"LUTs are mixed as in the mean of {len(images)} images"
        lost.append(f"{mixed}; the mix of a single image differs by {apart:.1f} levels (of 255) on average")

    def translate(x: Tensor, position: TilePosition) -> Tensor:
        y = network.forward_tile(with_channels(x, network.channels), position, mean.expand(len(x), -1, -1, -1, -1))
        return y[:, :3].expand(-1, 3, -1, -1)

    return flat_areas(translate, places, margin), lost


def places_of(color_map: ColorMap) -> tuple[tuple[int, int], list[str]]:
    """Return the arguments `places` and `margin` of `flat_areas` for a color map, and what a table of it loses."""
    lost = ["only the mean over radial positions is kept"] if color_map.varies else []
    return ((PLACES, FRAME) if color_map.varies else (1, 0)), lost


def with_channels(x: Tensor, channels: int) -> Tensor:
    """Convert RGB (N, 3, h, w) in [-1, 1] to gray or opaque RGBA for a network of 1 or 4 channels."""
    if channels == 1:
        return luminance(x)
    return torch.cat([x, torch.ones_like(x[:, :1])], 1) if channels == 4 else x


def flat_areas(translate: Callable[[Tensor, TilePosition], Tensor], places: int = 1, margin: int = 0) -> Colors:
    """Return a function that maps each pixel as a flat area of its color.

    Args:
        translate: function of tiles (N, 3, 1, 1) in [-1, 1] and their position, such as `forward_tile` of a network.
        places: rows and columns of positions over which colors are averaged; 1 for a function that ignores positions.
        margin: number of them along each edge that are left out.
    """

    @torch.inference_mode()
    def change(image: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(image).float().reshape(-1, 3, 1, 1) * 2 - 1  # an image of one pixel for each color
        if places == 1:
            mean = translate(x, TilePosition(0, 0, 1, 1))
        else:
            inside = range(margin, places - margin)
            positions = [TilePosition(row, column, places, places) for row in inside for column in inside]
            mean = sum(translate(x, each).clamp(-1, 1) for each in positions) / len(positions)  # type: ignore[assignment]
        return ((mean + 1) / 2).numpy().reshape(image.shape)

    return change


def inputs_of(model: Translator, path: Path) -> Tensor:
    try:
        return load_data(model.config, path).inputs(NUM_INPUTS)
    except UserError as error:
        print_line(f"note: built-in images take the place of the training images: {error}")
    return to_uint8(example_images(NUM_INPUTS, model.config["data"]["channels"], pair(model.config["data"]["size"])))
