"""Cut sheets of sprites and files of Aseprite into PNG files; classes become sub-folders.

A sheet is cut by a grid, as a description beside it says, or into the parts that transparent pixels separate.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from gan.data.decoding.reader import ImageError
from gan.data.sources.files import SUFFIXES, File, content, find, first_image, single
from gan.images import aseprite
from gan.images.files import encode
from gan.utils.errors import UserError, reason
from gan.utils.files import write_bytes
from gan.utils.untrusted import parse_json, read_bytes

SHEETS = SUFFIXES | {".aseprite", ".ase"}
MAX_NAME = 80  # characters of a file or folder that has the name of an image, a tag or a layer
MAX_DESCRIPTION = 16 << 20  # bytes
ELEMENT, ATTRIBUTE = re.compile(r"<SubTexture\s([^<>]*)>"), re.compile(r'(\w+)="([^"]*)"')  # of Sparrow's XML
MAX_PARTS = 65_536
EVERY_NEIGHBOR = np.ones((3, 3), int)  # pixels that touch at a corner belong together


class Part(NamedTuple):
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
    """Write the images of a sheet, or of all sheets of a folder, and yield the number of images of each sheet.

    Raises:
        UserError: a sheet cannot be read or cut; the images of the sheets before it are written.
    """
    for file in find([str(source)], SHEETS) if source.is_dir() else [single(source)]:
        try:
            images = list(images_of(file, how))
        except (ImageError, ValueError, OSError) as error:
            raise UserError(f"{file.shown}: {reason(error) if isinstance(error, OSError) else error}") from error
        for name, pixels in images:
            write_bytes(out / f"{name}.png", encode(Image.fromarray(pixels), "PNG", {}))
        yield len(images)


def images_of(file: File, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the images of a sheet that are not empty, uint8 (H, W, 4), with their paths, without a suffix."""
    folder, name = posixpath.split(file.name)
    stem, suffix = posixpath.splitext(name)
    if suffix.lower() in (".aseprite", ".ase"):
        found = frames_of(aseprite.read(content(file)), stem, how)
    else:
        found = parts_of(np.asarray(first_image(file).convert("RGBA")), file, stem, how)
    yield from ((posixpath.join(folder, path), pixels) for path, pixels in found if pixels[..., 3].any())


def frames_of(sprite: aseprite.Sprite, stem: str, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the frames, or those of each layer, in folders with the names of the tags or layers."""
    if how.layers:
        for layer in sprite.layers:
            for n, frame in enumerate(sprite.frames([layer])):
                yield posixpath.join(safe(layer.name), f"{stem}-{n:03}"), frame
        return
    tags = {n: tag.name for tag in reversed(sprite.tags) for n in range(tag.first, tag.last + 1)}
    for n, frame in enumerate(sprite.frames()):
        yield posixpath.join(safe(tags.get(n, "")), f"{stem}-{n:03}"), frame


def parts_of(sheet: np.ndarray, file: File, stem: str, how: Cutting) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the parts of a sheet uint8 (H, W, 4): its cells, those that its description names, or separated ones."""
    if how.cell is None and (places := description_of(file)):
        yield from ((name, turned(part.of(sheet), rotated)) for name, part, rotated in checked(places, sheet))
        return
    parts = by_parts(sheet, how.gap) if how.cell is None else by_grid(sheet, how.cell, how.margin, how.spacing)
    yield from ((f"{stem}-{n:03}", part.of(sheet)) for n, part in enumerate(parts))


# ---- descriptions: a JSON or XML file beside the sheet, with the name and place of each image

Place = tuple[str, Part, bool]  # path without a suffix, place in the sheet, whether it is rotated there


def description_of(file: File) -> list[Place]:
    """Return the places that SHEET.json (TexturePacker, Aseprite, Phaser) or SHEET.xml (Sparrow, Kenney) names."""
    stem = os.path.splitext(file.path)[0]
    if not file.archived and os.path.isfile(f"{stem}.json"):
        return places_in_json(parse_json(read_bytes(Path(f"{stem}.json"), MAX_DESCRIPTION)))
    if not file.archived and os.path.isfile(f"{stem}.xml"):
        text = read_bytes(Path(f"{stem}.xml"), MAX_DESCRIPTION).decode("utf-8", "replace")
        return [place_of(dict(ATTRIBUTE.findall(found)), "width", "height") for found in ELEMENT.findall(text)]
    return []


def places_in_json(described: Any) -> list[Place]:
    frames = described.get("frames") if isinstance(described, dict) else None
    if isinstance(frames, dict):
        frames = [{"filename": name, **frame} for name, frame in frames.items() if isinstance(frame, dict)]
    wanted = [frame for frame in frames or [] if isinstance(frame, dict) and isinstance(frame.get("frame"), dict)]
    return [
        place_of(frame["frame"] | {"name": frame.get("filename"), "rotated": frame.get("rotated")}, "w", "h")
        for frame in wanted
    ]


def place_of(values: dict[str, Any], width: str, height: str) -> Place:
    """Return a place; raise ValueError if it is damaged."""
    try:
        top, left, rows, columns = (int(values[name]) for name in ("y", "x", height, width))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("the file beside it that describes it is damaged") from error
    rotated = values.get("rotated") in (True, "true", "True")
    part = Part(top, left, columns, rows) if rotated else Part(top, left, rows, columns)
    name = posixpath.splitext(str(values.get("name")))[0]
    return posixpath.join(*map(safe, name.split("/"))), part, rotated


def checked(places: list[Place], sheet: np.ndarray) -> list[Place]:
    """Return places; raise ValueError if one is outside of the sheet, or two have one name."""
    for _, part, _ in places:
        inside = part.top + part.height <= sheet.shape[0] and part.left + part.width <= sheet.shape[1]
        if min(part) < 0 or min(part[2:]) < 1 or not inside:
            raise ValueError("the file beside it that describes it names places outside of it")
    if len({name for name, _, _ in places}) < len(places):
        raise ValueError("the file beside it that describes it has two images of one name")
    return places


def turned(pixels: np.ndarray, rotated: bool) -> np.ndarray:
    """Turn an image back that was turned clockwise to save space in a sheet."""
    return np.ascontiguousarray(np.rot90(pixels)) if rotated else pixels


def safe(name: str) -> str:
    """Return a name from a file as the name of a file or folder."""
    return re.sub(r"[^\w \-]", "_", name)[:MAX_NAME].strip()


# ---- the parts of a sheet


def by_grid(sheet: np.ndarray, cell: tuple[int, int], margin: int = 0, spacing: int = 0) -> list[Part]:
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
    places = ((row, column) for row in range(counts[0]) for column in range(counts[1]))
    parts = [
        Part(margin + row * (height + spacing), margin + column * (width + spacing), height, width)
        for row, column in places
    ]
    return [part for part in parts if part.of(sheet)[..., 3].any()]


def by_parts(sheet: np.ndarray, gap: int = 0, smallest: int = 4) -> list[Part]:
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
    near = ndimage.maximum_filter(shown, gap + 1)
    labels, count = ndimage.label(near, EVERY_NEIGHBOR)
    if count > MAX_PARTS:
        raise ValueError(f"it has more than {MAX_PARTS:,} parts")
    labels[~shown] = 0
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    parts = []
    for number, found in enumerate(ndimage.find_objects(labels, count), 1):
        if found is not None and sizes[number] >= smallest:
            rows, columns = found
            parts.append(Part(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start))
    return in_rows(merged(parts))


def merged(parts: list[Part]) -> list[Part]:
    """Return parts without those that lie within another one, such as an eye in a ring."""
    kept: list[Part] = []
    for part in sorted(parts, key=lambda each: -each.height * each.width):
        if not any(contains(other, part) for other in kept):
            kept.append(part)
    return kept


def contains(outer: Part, inner: Part) -> bool:
    return (
        outer.top <= inner.top
        and outer.left <= inner.left
        and outer.top + outer.height >= inner.top + inner.height
        and outer.left + outer.width >= inner.left + inner.width
    )


def in_rows(parts: list[Part]) -> list[Part]:
    """Return parts from left to right in rows: a part is in the row of an earlier one whose middle it covers."""
    rows: list[list[Part]] = []
    for part in sorted(parts):
        row = next((row for row in rows if part.top <= row[0].top + row[0].height / 2), None)
        if row is None:
            rows.append([part])
        else:
            row.append(part)
    return [part for row in rows for part in sorted(row, key=lambda each: each.left)]
