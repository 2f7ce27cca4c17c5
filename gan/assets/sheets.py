"""Images as the assets of a game: a sheet with JSON, a file of Aseprite, or a tileset of Tiled.

sheet      sheet.png, and sheet.json with the place of each image, as Aseprite exports them
aseprite   images.aseprite: a frame for each image, a tag for each class, and the palette if there are few colors
tiled      tiles.png and tiles.tsx: a tileset whose tiles have the classes of the images
terrain    terrain.png and terrain.tsx: 16 tiles of two seamless textures, as a terrain of Tiled
"""

from __future__ import annotations

import json
import math
import posixpath
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from gan.assets import aseprite, terrain
from gan.assets.aseprite import Tag
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import File, first_image
from gan.images.collection import find_images
from gan.images.files import encode
from gan.records.record import origin, software
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing, write_bytes
from gan.utils.output import one_line

MAX_NAME = 200  # characters of the name of a class
MAX_INDEXED = 255  # colors of an indexed file, beside the transparent one


class Named(NamedTuple):
    """An image uint8 (H, W, 4), straight RGBA, its name, and its class, which may be empty."""

    name: str
    group: str
    pixels: np.ndarray


def export(source: Path, to: str, out: Path, force: bool) -> list[Path]:
    """Write the images of a folder as the files of a format, and return their paths.

    Raises:
        UserError: there are no images, one cannot be read, or their sizes differ.
    """
    paths = [out / name for name in ENCODERS[to]]
    refuse_existing(paths, force)
    images = sorted(map(read_named, find_images(source)), key=lambda image: image.group)
    first = images[0]
    for image in images:
        if image.pixels.shape != first.pixels.shape:
            raise UserError(f"{source}: {image.name} and {first.name} differ in size; a sheet needs images of one size")
    contents = [encode(images) for encode in ENCODERS[to].values()]
    with writing(out):
        for path, content in zip(paths, contents, strict=True):
            write_bytes(path, content)
    return paths


def read_named(file: File) -> Named:
    """Return an image. Its class is the one in its record, or the folder that it is in."""
    try:
        image = first_image(file)
    except ImageError as error:
        raise UserError(f"{file.shown}: {error}") from error
    told = None if file.archived else (origin(file.path) or {}).get("class")
    group = one_line(str(told or posixpath.dirname(file.name)))[:MAX_NAME]
    return Named(one_line(file.name), group, np.asarray(image.convert("RGBA")))


def columns_of(count: int) -> int:
    return math.ceil(math.sqrt(count))


def sheet(images: Sequence[Named]) -> bytes:
    """Return a PNG with the images in rows, without gaps."""
    columns = columns_of(len(images))
    height, width = images[0].pixels.shape[:2]
    whole = np.zeros((math.ceil(len(images) / columns) * height, columns * width, 4), np.uint8)
    for n, image in enumerate(images):
        top, left = n // columns * height, n % columns * width
        whole[top : top + height, left : left + width] = image.pixels
    return encode(Image.fromarray(whole), "PNG", {})


def places(images: Sequence[Named]) -> bytes:
    """Return the place of each image in the sheet as JSON."""
    columns = columns_of(len(images))
    height, width = images[0].pixels.shape[:2]
    size = {"w": width, "h": height}
    frames = [
        {
            "filename": image.name,
            "frame": {"x": n % columns * width, "y": n // columns * height, **size},
            "rotated": False,
            "trimmed": False,
            "spriteSourceSize": {"x": 0, "y": 0, **size},
            "sourceSize": size,
            "duration": 100,
        }
        for n, image in enumerate(images)
    ]
    tags = [{"name": tag.name, "from": tag.first, "to": tag.last, "direction": "forward"} for tag in tags_of(images)]
    rows = math.ceil(len(images) / columns)
    meta: dict[str, Any] = {"app": software(), "image": "sheet.png", "format": "RGBA8888", "scale": "1"}
    meta |= {"size": {"w": columns * width, "h": rows * height}, "frameTags": tags}
    return json.dumps({"frames": frames, "meta": meta}, indent=1).encode() + b"\n"


def tags_of(images: Sequence[Named]) -> list[Tag]:
    tags, first = [], 0
    for group, members in groupby(images, key=lambda image: image.group):
        last = first + len(list(members)) - 1
        tags += [Tag(group, first, last)] if group else []
        first = last + 1
    return tags


def animation(images: Sequence[Named]) -> bytes:
    """Return a file of Aseprite; indexed if pixels are opaque or transparent and have few colors."""
    frames = np.stack([image.pixels for image in images])
    shown = frames[..., 3] > 0
    colors = np.unique(frames[shown], axis=0) if (frames[..., 3][shown] == 255).all() else frames[:0, 0, 0]
    if not 0 < len(colors) <= MAX_INDEXED:
        return aseprite.encode(frames, tags=tags_of(images))
    palette = np.concatenate([np.zeros((1, 4), np.uint8), colors])
    order = {bytes(color): n for n, color in enumerate(palette.tolist())}
    found, inverse = np.unique(np.where(shown[..., None], frames, 0).reshape(-1, 4), axis=0, return_inverse=True)
    numbers = np.array([order[bytes(color)] for color in found.tolist()], np.uint8)
    return aseprite.encode(numbers[inverse].reshape(frames.shape[:3]), palette, tags_of(images))


def tileset(images: Sequence[Named]) -> bytes:
    root = tileset_element(images, "tiles")
    for n, image in enumerate(images):
        if image.group:
            ElementTree.SubElement(root, "tile", {"id": str(n), "type": image.group})
    return as_xml(root)


def tileset_element(images: Sequence[Named], name: str) -> ElementTree.Element:
    columns = columns_of(len(images))
    height, width = images[0].pixels.shape[:2]
    about = {"version": "1.10", "name": name, "tilewidth": width, "tileheight": height, "tilecount": len(images)}
    root = ElementTree.Element("tileset", {key: str(value) for key, value in (about | {"columns": columns}).items()})
    size = {"width": str(columns * width), "height": str(math.ceil(len(images) / columns) * height)}
    ElementTree.SubElement(root, "image", {"source": f"{name}.png", **size})
    return root


def as_xml(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return ElementTree.tostring(root, "utf-8", xml_declaration=True) + b"\n"


# ---- terrains


def terrain_tiles(images: Sequence[Named]) -> list[Named]:
    """Return the tiles of a terrain of two textures."""
    if len(images) != 2:
        raise UserError(f"--to terrain: needs two seamless textures, not {len(images)}")
    first, second = (image.pixels for image in images)
    return [Named(str(n), "", pixels) for n, pixels in enumerate(terrain.tiles_of(first, second))]


def terrain_tileset(images: Sequence[Named]) -> bytes:
    """Return a tileset of Tiled with a terrain, which Tiled calls a Wang set of corners."""
    root = tileset_element(terrain_tiles(images), "terrain")
    sets = ElementTree.SubElement(root, "wangsets")
    wang = ElementTree.SubElement(sets, "wangset", {"name": "terrain", "type": "corner", "tile": "-1"})
    for image, color in zip(images, terrain.COLORS, strict=True):
        about = {"name": posixpath.splitext(image.name)[0], "color": color, "tile": "-1", "probability": "1"}
        ElementTree.SubElement(wang, "wangcolor", about)
    for n, corners in enumerate(terrain.wang_ids()):
        ElementTree.SubElement(wang, "wangtile", {"tileid": str(n), "wangid": corners})
    return as_xml(root)


ENCODERS: dict[str, dict[str, Callable[[Sequence[Named]], bytes]]] = {
    "sheet": {"sheet.png": sheet, "sheet.json": places},
    "aseprite": {"images.aseprite": animation},
    "tiled": {"tiles.png": sheet, "tiles.tsx": tileset},
    "terrain": {"terrain.png": lambda images: sheet(terrain_tiles(images)), "terrain.tsx": terrain_tileset},
}
