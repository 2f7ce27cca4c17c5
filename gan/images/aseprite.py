"""Files of Aseprite (.aseprite, .ase), by its file specification: read frames, layers and tags, write frames and tags.

Not read: tile maps, and blend modes other than normal. Sizes are checked before memory is used.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

MAGIC, FRAME = 0xA5E0, 0xF1FA
LAYER, CEL, TAGS, PALETTE = 0x2004, 0x2005, 0x2018, 0x2019  # kinds of chunks
RAW, LINKED, COMPRESSED = 0, 1, 2  # kinds of cels
HEADER = struct.Struct("<I5HIH8xB3xH94x")  # size, magic, frames, width, height, depth, flags, speed, 2 of the palette
FRAME_HEADER = struct.Struct("<I3H2xI")  # size, magic, old number of chunks, milliseconds, number of chunks
CHUNK_HEADER = struct.Struct("<IH")  # size, kind
LAYER_HEADER = struct.Struct("<6HB3x")  # flags, kind, depth, 2 unused, blend mode, opacity
CEL_HEADER = struct.Struct("<HhhBHh5x")  # layer, left, top, opacity, kind, order
ENTRY = struct.Struct("<H4B")  # flags, red, green, blue, alpha
OPACITY_IS_VALID = 1  # flag of the header
MAX_FRAMES, MAX_PIXELS = 4096, 64 << 20  # the second one over all frames


class Tag(NamedTuple):
    """A named range of frames, from `first` to `last`."""

    name: str
    first: int
    last: int


@dataclass
class Layer:
    """A layer; `visible` also depends on the groups that it is in.

    Attributes:
        cels: straight RGBA (H, W, 4) by frame; frames without an image of this layer are missing.
    """

    name: str
    visible: bool
    opacity: int = 255
    cels: dict[int, np.ndarray] = field(default_factory=dict)
    order: dict[int, int] = field(default_factory=dict)  # by which an image is moved among the layers, by frame


@dataclass
class Sprite:
    """An image of frames and layers.

    Attributes:
        durations: milliseconds of each frame.
        layers: from bottom to top, without groups.
        palette: uint8 (K, 4), straight RGBA.
    """

    height: int
    width: int
    durations: list[int]
    layers: list[Layer]
    tags: list[Tag]
    palette: np.ndarray

    def frames(self, layers: Sequence[Layer] | None = None) -> np.ndarray:
        """Return the frames uint8 (F, H, W, 4), straight RGBA, of layers; the default is the visible ones."""
        shown = [layer for layer in self.layers if layer.visible] if layers is None else layers
        done = np.zeros((len(self.durations), self.height, self.width, 4), np.uint8)
        for n, frame in enumerate(done):
            ordered = sorted(enumerate(shown), key=lambda pair: (pair[0] + pair[1].order.get(n, 0), pair[0]))
            for _, layer in ordered:
                if n in layer.cels:
                    frame[:] = over(layer.cels[n], frame)
        return done


def over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Place straight RGBA uint8 on straight RGBA uint8."""
    above, below = top[..., 3:] / 255, bottom[..., 3:] / 255
    alpha = above + below * (1 - above)
    color = (top[..., :3] * above + bottom[..., :3] * below * (1 - above)) / np.maximum(alpha, 1e-9)
    return np.rint(np.concatenate([color, 255 * alpha], 2)).astype(np.uint8)


# ---- read


def is_aseprite(data: bytes) -> bool:
    return len(data) >= HEADER.size and data[4:6] == MAGIC.to_bytes(2, "little")


def palette_of(data: bytes) -> np.ndarray:
    """Return the colors of the palette of a file, uint8 (K, 3), without transparent ones. Errors as in `read`."""
    palette = read(data).palette
    if not len(palette):
        raise ValueError("it has no palette")
    return palette[palette[:, 3] > 0, :3]


def read(data: bytes, max_pixels: int = MAX_PIXELS) -> Sprite:
    """Return the content of a file.

    Raises:
        ValueError: the file is damaged, too large, or has what is not read.
    """
    try:
        return Reader(data, max_pixels).sprite
    except (struct.error, IndexError, zlib.error) as error:
        raise ValueError("it is cut short or damaged") from error


class Reader:
    """Reads the chunks of a file into `sprite`."""

    def __init__(self, data: bytes, max_pixels: int) -> None:
        _, _, count, width, height, self.depth, self.flags, _, self.transparent, _ = HEADER.unpack_from(data)
        if self.depth not in (8, 16, 32) or not width or not height:
            raise ValueError("it is damaged")
        if count > MAX_FRAMES or count * width * height > max_pixels:
            raise ValueError(f"it has more than {MAX_FRAMES:,} frames or {max_pixels:,} pixels")
        self.sprite = Sprite(height, width, [], [], [], np.zeros((0, 4), np.uint8))
        self.all_layers: list[Layer | None] = []  # with groups, as None
        self.groups: list[bool] = []  # whether the groups that the next layer is in are visible
        self.left = max_pixels * 4  # pixels of cels that may still be read
        place = HEADER.size
        for number in range(count):
            size, magic, _, duration, _ = FRAME_HEADER.unpack_from(data, place)
            if magic != FRAME or size < FRAME_HEADER.size:
                raise ValueError("it is damaged")
            self.sprite.durations.append(duration)
            for kind, content in chunks(data, place):
                self.add(number, kind, content)
            place += size

    def add(self, frame: int, kind: int, content: bytes) -> None:
        if kind == PALETTE:
            self.sprite.palette = palette_in(content, self.sprite.palette)
        elif kind == LAYER:
            self.add_layer(content)
        elif kind == CEL:
            self.add_cel(frame, content)
        elif kind == TAGS:
            self.sprite.tags += tags_in(content)

    def add_layer(self, content: bytes) -> None:
        flags, kind, depth, _, _, blend, opacity = LAYER_HEADER.unpack_from(content)
        name, _ = string_at(content, LAYER_HEADER.size)
        visible = bool(flags & 1) and all(self.groups[:depth])
        self.groups[depth:] = [visible]
        if kind == 1:  # a group
            self.all_layers.append(None)
            return
        if kind != 0:
            raise ValueError(f"its layer {name} is a tile map, which is not read")
        if blend and visible:
            raise ValueError(f"its layer {name} has a blend mode, which is not read; set it to normal")
        layer = Layer(name, visible, opacity if self.flags & OPACITY_IS_VALID else 255)
        self.all_layers.append(layer)
        self.sprite.layers.append(layer)

    def add_cel(self, frame: int, content: bytes) -> None:
        number, left, top, opacity, kind, order = CEL_HEADER.unpack_from(content)
        layer = self.all_layers[number]
        if layer is None:
            raise ValueError("it is damaged")
        if kind == LINKED:
            (source,) = struct.unpack_from("<H", content, CEL_HEADER.size)
            if source in layer.cels:
                layer.cels[frame] = layer.cels[source]
            return
        width, height = struct.unpack_from("<2H", content, CEL_HEADER.size)
        self.left -= width * height
        if kind not in (RAW, COMPRESSED) or self.left < 0:
            raise ValueError("it has cels that are too large, or of an unknown kind")
        size = width * height * self.depth // 8
        pixels = content[CEL_HEADER.size + 4 :]
        pixels = zlib.decompressobj().decompress(pixels, size + 1) if kind == COMPRESSED else pixels
        if len(pixels) != size:
            raise ValueError("it is cut short or damaged")
        image = self.to_rgba(np.frombuffer(pixels, np.uint8).reshape(height, width, -1))
        image[..., 3] = np.rint(image[..., 3] * (opacity / 255) * (layer.opacity / 255))
        layer.cels[frame] = placed(image, top, left, self.sprite.height, self.sprite.width)
        layer.order[frame] = order

    def to_rgba(self, pixels: np.ndarray) -> np.ndarray:
        """Convert pixels uint8 (H, W, bytes) to straight RGBA."""
        if self.depth == 32:
            return pixels.copy()
        if self.depth == 16:  # gray and alpha
            return pixels[..., [0, 0, 0, 1]]
        colors = np.zeros((256, 4), np.uint8)
        colors[: len(self.sprite.palette)] = self.sprite.palette
        colors[self.transparent] = 0
        return colors[pixels[..., 0]]


def chunks(data: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of each chunk of the frame at a place of a file."""
    _, _, old_count, _, count = FRAME_HEADER.unpack_from(data, place)
    place += FRAME_HEADER.size
    for _ in range(count or old_count):
        size, kind = CHUNK_HEADER.unpack_from(data, place)
        if size < CHUNK_HEADER.size or place + size > len(data):
            raise ValueError("it is cut short or damaged")
        yield kind, data[place + CHUNK_HEADER.size : place + size]
        place += size


def palette_in(content: bytes, before: np.ndarray) -> np.ndarray:
    """Return the palette uint8 (K, 4) after a chunk that changes a range of the colors of the one before."""
    count, first, last = struct.unpack_from("<3I", content)
    if not first <= last < count <= 256:
        raise ValueError("its palette has more than 256 colors, or is damaged")
    palette, place = np.zeros((count, 4), np.uint8), 20
    palette[: len(before)] = before[:count]
    for n in range(first, last + 1):
        flags, *palette[n] = ENTRY.unpack_from(content, place)
        place += ENTRY.size
        if flags & 1:  # has a name
            _, place = string_at(content, place)
    return palette


def tags_in(content: bytes) -> list[Tag]:
    (count,) = struct.unpack_from("<H", content)
    tags, place = [], 10
    for _ in range(count):
        first, last = struct.unpack_from("<2H", content, place)
        name, place = string_at(content, place + 17)
        tags.append(Tag(name, first, last))
    return tags


def string_at(content: bytes, place: int) -> tuple[str, int]:
    """Return the string at a place, and the place after it."""
    (length,) = struct.unpack_from("<H", content, place)
    return content[place + 2 : place + 2 + length].decode("utf-8", "replace"), place + 2 + length


def placed(image: np.ndarray, top: int, left: int, height: int, width: int) -> np.ndarray:
    """Return a transparent image (height, width, 4) with an image at a position, cut at the borders."""
    canvas = np.zeros((height, width, 4), np.uint8)
    rows, columns = slice(max(top, 0), top + len(image)), slice(max(left, 0), left + image.shape[1])
    part = image[max(-top, 0) :, max(-left, 0) :]
    target = canvas[rows, columns] if top + len(image) > 0 and left + image.shape[1] > 0 else canvas[:0]
    target[:] = part[: target.shape[0], : target.shape[1]]
    return canvas


# ---- write


def encode(
    images: np.ndarray, palette: np.ndarray | None = None, tags: Sequence[Tag] = (), duration: int = 100
) -> bytes:
    """Return a file of one layer.

    Args:
        images: uint8 (F, H, W, 4), straight RGBA; with a palette (F, H, W), indices from 0 to 255.
        palette: uint8 (K, 4); index 0 is transparent.
        duration: milliseconds of each frame.
    """
    count, height, width = images.shape[:3]
    frames = b""
    for n, image in enumerate(images):
        cel = CEL_HEADER.pack(0, 0, 0, 255, COMPRESSED, 0) + struct.pack("<2H", width, height)
        contents = [(CEL, cel + zlib.compress(np.ascontiguousarray(image).tobytes()))]
        if n == 0:
            contents = [(LAYER, LAYER_HEADER.pack(3, 0, 0, 0, 0, 0, 255) + text("Images")), *contents]
            contents = ([(TAGS, tag_chunk(tags))] if tags else []) + contents
            contents = ([] if palette is None else [(PALETTE, palette_chunk(palette))]) + contents
        body = b"".join(CHUNK_HEADER.pack(len(x) + CHUNK_HEADER.size, kind) + x for kind, x in contents)
        header = FRAME_HEADER.pack(len(body) + FRAME_HEADER.size, FRAME, len(contents), duration, len(contents))
        frames += header + body
    depth, colors = (32, 0) if palette is None else (8, len(palette))
    size = HEADER.size + len(frames)
    return HEADER.pack(size, MAGIC, count, width, height, depth, OPACITY_IS_VALID, duration, 0, colors) + frames


def palette_chunk(palette: np.ndarray) -> bytes:
    entries = b"".join(ENTRY.pack(0, *color) for color in palette.tolist())
    return struct.pack("<3I8x", len(palette), 0, len(palette) - 1) + entries


def tag_chunk(tags: Sequence[Tag]) -> bytes:
    entries = (struct.pack("<2H13x", tag.first, tag.last) + text(tag.name) for tag in tags)
    return struct.pack("<H8x", len(tags)) + b"".join(entries)


def text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<H", len(encoded)) + encoded
