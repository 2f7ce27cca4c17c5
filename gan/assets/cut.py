"""Cut sheets of sprites and files of Aseprite into PNG files; classes become sub-folders.

A sheet is cut by a grid, as a description beside it says, or into the parts that transparent pixels separate.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

import numpy as np
from PIL import Image
from scipy import ndimage

from gan.assets import aseprite
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import SUFFIXES, File, content, find, first_image, single
from gan.images.files import encode
from gan.utils.errors import UserError, reason
from gan.utils.files import write_bytes
from gan.utils.untrusted import parse_json, read_bytes

SHEETS = SUFFIXES | {".aseprite", ".ase"}
MAX_NAME = 80  # characters of a file or folder that has the name of an image, a tag or a layer
MAX_DEPTH = 8  # folders in the name of an image
MAX_DESCRIPTION = 8 << 20  # bytes
MAX_SHEET = 1 << 25  # pixels
MAX_IMAGES, MAX_PIXELS = 1 << 12, 1 << 26  # that are cut from one sheet, in a few seconds
MAX_CELLS = 1 << 16  # that the user asks for
DAMAGED = "the file beside it that describes it is damaged"
BAND = 1 << 20  # pixels to count at a time
EVERY_NEIGHBOR = np.ones((3, 3), int)  # pixels that touch at a corner belong together


class Piece(NamedTuple):
    """The place of an image in a sheet, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, sheet: np.ndarray) -> np.ndarray:
        return sheet[self.top : self.top + self.height, self.left : self.left + self.width]


class Cutting(NamedTuple):
    """How sheets are cut.

    Attributes:
        cell: height and width of the cells; None cuts as the sheet's description says, or at transparent pixels.
        margin, spacing: as in `by_grid`.
        gap: as in `by_parts`.
        layers: cut layers of Aseprite instead of frames with all visible layers.
    """

    cell: tuple[int, int] | None
    margin: int = 0
    spacing: int = 0
    gap: int = 0
    layers: bool = False


def cut_all(source: Path, out: Path, how: Cutting) -> Iterator[int]:
    """Write the images of a sheet, or of all sheets of a folder, and yield the number of files of each sheet.

    An image whose name is taken gets a number: hero.png, hero-2.png. The order of sheets, and of images in a sheet, is
    always the same, so that names are the same when a folder is cut again.

    Raises:
        UserError: a sheet cannot be read or cut; the images of the sheets before it are written.
    """
    names: Counter[str] = Counter()
    for file in find([str(source)], SHEETS) if source.is_dir() else [single(source)]:
        try:
            images = images_of(file, how)
        except (ImageError, ValueError, OSError) as error:
            raise UserError(f"{file.shown}: {reason(error) if isinstance(error, OSError) else error}") from error
        count = 0
        for name, pixels in images:
            write_bytes(out / f"{numbered(name, names)}.png", encode(Image.fromarray(pixels), "PNG", {}))
            count += 1
        yield count


def numbered(name: str, names: Counter[str]) -> str:
    """Return a name that is not in `names`, and add it; upper and lower case are equal on some systems."""
    new = name
    while names[new.casefold()]:
        names[name.casefold()] += 1
        new = f"{name}-{names[name.casefold()]}"
    names[new.casefold()] = 1
    return new


def images_of(file: File, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Read a sheet, and return an iterator over its images that are not empty.

    Each image is uint8 (H, W, 4) and has its path, without a suffix. Errors are raised before the first image.
    """
    folder, name = posixpath.split(file.name)
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() in (".aseprite", ".ase"):
        images = frames_of(aseprite.read_sprite(content(file)), stem, how)
    else:
        images = parts_of(np.asarray(first_image(file, MAX_SHEET).convert("RGBA")), file, stem, how)
    return ((posixpath.join(folder, path), pixels) for path, pixels in images if pixels[..., 3].any())


def check_size(images: int, pixels: int = 0, most: int = MAX_IMAGES) -> None:
    """Raise ValueError if a sheet has too many images, or too many pixels in all images, which may overlap."""
    if images > most or pixels > MAX_PIXELS:
        raise ValueError(f"it has more than {most:,} images, or images of more than {MAX_PIXELS:,} pixels in all")


def frames_of(sprite: aseprite.Sprite, stem: str, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Return the frames, or those of each layer, in folders with the names of the tags or layers."""
    if how.layers:
        count = sum(len(layer.cels) for layer in sprite.layers)
        check_size(count, count * sprite.height * sprite.width)
        return (
            (posixpath.join(safe(layer.name), f"{stem}-{n:03}"), frame)
            for layer in sprite.layers
            for n, frame in sprite.frames([layer])
        )
    end = len(sprite.durations)
    tags = {n: tag.name for tag in reversed(sprite.tags) for n in range(tag.first, min(tag.last + 1, end))}
    return ((posixpath.join(safe(tags.get(n, "")), f"{stem}-{n:03}"), frame) for n, frame in sprite.frames())


def parts_of(sheet: np.ndarray, file: File, stem: str, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Return the parts of a sheet uint8 (H, W, 4): its cells, those that its description names, or separated ones."""
    if how.cell is None and (places := description_of(file)):
        return ((name, turned(part.of(sheet), rotated)) for name, part, rotated in checked_places(places, sheet))
    parts = by_parts(sheet, how.gap) if how.cell is None else by_grid(sheet, how.cell, how.margin, how.spacing)
    return ((f"{stem}-{n:03}", part.of(sheet)) for n, part in enumerate(parts))


# ---- descriptions: a JSON or XML file beside the sheet, with the name and place of each image

Place = tuple[str, Piece, bool]  # path without a suffix, place in the sheet, whether it is rotated there


def description_of(file: File) -> list[Place]:
    """Return the places that SHEET.json (TexturePacker, Aseprite, Phaser) or SHEET.xml (Sparrow, Kenney) names."""
    stem = os.path.splitext(file.path)[0]
    if not file.archived and os.path.isfile(f"{stem}.json"):
        return places_in_json(parse_json(read_bytes(Path(f"{stem}.json"), MAX_DESCRIPTION)))
    if not file.archived and os.path.isfile(f"{stem}.xml"):
        return places_in_xml(read_bytes(Path(f"{stem}.xml"), MAX_DESCRIPTION))
    return []


def places_in_xml(data: bytes) -> list[Place]:
    """Return the places of the elements SubTexture. Entities, which could expand a few bytes, are refused."""
    places: list[Place] = []

    def refuse(*declaration: object) -> None:
        raise ValueError(DAMAGED)

    def add(name: str, attributes: dict[str, str]) -> None:
        if name == "SubTexture":
            places.append(place_of(attributes, "width", "height"))

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler, parser.StartElementHandler = refuse, add
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(DAMAGED) from error
    return places


def places_in_json(described: object) -> list[Place]:
    frames = described.get("frames") if isinstance(described, dict) else None
    if isinstance(frames, dict):
        frames = [{"filename": name, **frame} for name, frame in frames.items() if isinstance(frame, dict)]
    if not isinstance(frames, list | None):
        raise ValueError(DAMAGED)
    wanted = [frame for frame in frames or [] if isinstance(frame, dict) and isinstance(frame.get("frame"), dict)]
    return [
        place_of(frame["frame"] | {"name": frame.get("filename"), "rotated": frame.get("rotated")}, "w", "h")
        for frame in wanted
    ]


def place_of(values: dict[str, Any], width: str, height: str) -> Place:
    """Return a place; raise ValueError if it is damaged."""
    try:
        top, left, rows, columns = (int(values[name]) for name in ("y", "x", height, width))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(DAMAGED) from error
    rotated = values.get("rotated") in (True, "true", "True")
    part = Piece(top, left, columns, rows) if rotated else Piece(top, left, rows, columns)
    name = posixpath.splitext(str(values.get("name")))[0]
    return posixpath.join(*(safe(part) or "_" for part in name.rsplit("/", MAX_DEPTH))), part, rotated


def checked_places(places: list[Place], sheet: np.ndarray) -> list[Place]:
    """Return places; raise ValueError if one is outside of the sheet, or they are too many."""
    for _, part, _ in places:
        inside = part.top + part.height <= sheet.shape[0] and part.left + part.width <= sheet.shape[1]
        if min(part) < 0 or min(part[2:]) < 1 or not inside:
            raise ValueError("the file beside it that describes it names places outside of it")
    check_size(len(places), sum(part.height * part.width for _, part, _ in places))
    return places


def turned(pixels: np.ndarray, rotated: bool) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(pixels)) if rotated else pixels


def safe(name: str) -> str:
    return re.sub(r"[^\w \-]", "_", name)[:MAX_NAME].strip()


# ---- the parts of a sheet


def by_grid(sheet: np.ndarray, cell: tuple[int, int], margin: int = 0, spacing: int = 0) -> list[Piece]:
    """Return the cells of a sheet uint8 (H, W, 4) that are not empty, by rows.

    Args:
        cell: height and width.
        margin: pixels before the first row and column.
        spacing: pixels between two rows and columns.

    Raises:
        ValueError: the sheet is smaller than a cell, or its sides are no multiples of it.
    """
    (height, width), sides = cell, sheet.shape[:2]
    counts = [(side - 2 * margin + spacing) // (length + spacing) for side, length in zip(sides, cell, strict=True)]
    used = [2 * margin + n * (length + spacing) - spacing for n, length in zip(counts, cell, strict=True)]
    if min(counts) < 1 or tuple(used) != tuple(sides):
        raise ValueError(f"{sides[1]}x{sides[0]} pixels are not a grid of cells of {width}x{height}")
    alpha = sheet[: sides[0] - margin, : sides[1] - margin, 3]
    for axis, (count, length) in enumerate(zip(counts, cell, strict=True)):
        starts = margin + np.arange(count) * (length + spacing)
        borders = np.stack([starts, starts + length], 1).ravel()[:-1]  # every second range lies between two cells
        alpha = np.maximum.reduceat(alpha, borders, axis).take(range(0, len(borders), 2), axis)
    check_size(int(np.count_nonzero(alpha)), most=MAX_CELLS)
    tops, lefts = margin + np.argwhere(alpha).T * [[height + spacing], [width + spacing]]
    return [Piece(top, left, height, width) for top, left in zip(tops.tolist(), lefts.tolist(), strict=True)]


def by_parts(sheet: np.ndarray, gap: int = 0, smallest: int = 4) -> list[Piece]:
    """Return the parts of a sheet uint8 (H, W, 4) that transparent pixels separate, by rows.

    Args:
        gap: parts with at most this number of transparent pixels between them are one image.
        smallest: pixels of a part, below which it is left out.

    Raises:
        ValueError: the sheet has no transparent pixels, or too many parts.
    """
    shown = sheet[..., 3] > 0
    if shown.all():
        raise ValueError("it has no transparent pixels that separate its parts; give the size of its cells")
    near = ndimage.maximum_filter(shown, [min(gap, side) + 1 for side in shown.shape])
    labels, count = ndimage.label(near, EVERY_NEIGHBOR)
    check_size(count)
    labels[~shown] = 0
    bands = np.array_split(labels.ravel(), 1 + labels.size // BAND)  # of which bincount makes int64
    sizes = np.sum([np.bincount(band, minlength=count + 1) for band in bands], 0)
    parts = []
    for number, found in enumerate(ndimage.find_objects(labels, count), 1):
        if found is not None and sizes[number] >= smallest:
            rows, columns = found
            parts.append(Piece(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start))
    return in_rows(merged(parts))


def merged(parts: list[Piece]) -> list[Piece]:
    """Return parts without those that lie within another one, such as an eye in a ring."""
    ordered = sorted(parts, key=lambda part: -part.height * part.width)
    corners = [(part.top, part.left, -part.top - part.height, -part.left - part.width) for part in ordered]
    edges = np.array(corners, np.int32).reshape(-1, 4).T
    return [part for n, part in enumerate(ordered) if not (edges[:, :n] <= edges[:, n, None]).all(0).any()]


def in_rows(parts: list[Piece]) -> list[Piece]:
    """Return parts from left to right in rows: a part is in the row of an earlier one whose middle it covers."""
    rows: list[list[Piece]] = []
    for part in sorted(parts):
        if rows and part.top <= rows[-1][0].top + rows[-1][0].height / 2:
            rows[-1].append(part)
        else:
            rows.append([part])
    return [part for row in rows for part in sorted(row, key=lambda each: each.left)]
