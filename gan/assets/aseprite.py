"""Files of Aseprite (.aseprite, .ase), by its file specification: read frames, layers and tags, write frames and tags.

Not read: tile maps, and blend modes other than normal. Sizes are checked before memory is used.
"""

from __future__ import annotations

import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
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
MAX_FILE = 64 << 20  # bytes
MAX_FRAMES, MAX_CHUNKS, MAX_TAGS = 4096, 1 << 17, 4096
MAX_PIXELS = 64 << 20  # over all frames
MAX_SIDES = 1 << 25  # height * width of a frame or cel, for which a few bytes can stand
MAX_CELS = MAX_PIXELS * 5 // 4  # pixels of all cels
BAND = 1 << 12  # pixels to composite at a time, which fit into the cache


class Tag(NamedTuple):
    """A named range of frames, from `first` to `last`."""

    name: str
    first: int
    last: int


class Cel(NamedTuple):
    """The image of a layer in a frame.

    Attributes:
        size: height * width.
        order: by which it is moved among the layers.
        pixels: decompresses it, uint8 (h, w, 4), straight RGBA, because all images together may exceed memory.
    """

    top: int
    left: int
    size: int
    order: int
    pixels: Callable[[], np.ndarray]

    def place_on(self, canvas: np.ndarray) -> None:
        """Composite the image on a canvas uint8 (H, W, 4), cut at its borders, in bands: `over` needs much memory."""
        height, width = canvas.shape[:2]
        image = self.pixels()[max(-self.top, 0) : max(height - self.top, 0)]
        image = image[:, max(-self.left, 0) : max(width - self.left, 0)]
        below = canvas[max(self.top, 0) :, max(self.left, 0) :][: len(image), : image.shape[1]]
        step = max(1, BAND // max(image.shape[1], 1))
        for row in range(0, len(image), step):
            below[row : row + step] = over(image[row : row + step], below[row : row + step])


@dataclass
class Layer:
    """A layer; `visible` also depends on the groups that it is in."""

    name: str
    visible: bool
    opacity: int = 255
    cels: dict[int, Cel] = field(default_factory=dict)  # by frame; frames without an image of this layer are missing


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

    def frames(self, layers: Sequence[Layer] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number and the image uint8 (H, W, 4), straight RGBA, of each frame in which layers have cels.

        Args:
            layers: the default is the visible ones.
        """
        shown = [layer for layer in self.layers if layer.visible] if layers is None else layers
        cels = defaultdict(list)
        for number, layer in enumerate(shown):
            for frame, cel in layer.cels.items():
                cels[frame].append((number + cel.order, number, cel))
        for frame in sorted(cels):
            canvas = np.zeros((self.height, self.width, 4), np.uint8)
            for _, _, cel in sorted(cels[frame], key=lambda entry: entry[:2]):
                cel.place_on(canvas)
            yield frame, canvas


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
    palette = read_sprite(data, (PALETTE,)).palette
    if not len(palette):
        raise ValueError("it has no palette")
    return palette[palette[:, 3] > 0, :3]


def read_sprite(data: bytes, kinds: Collection[int] = (PALETTE, LAYER, CEL, TAGS)) -> Sprite:
    """Return the content of a file.

    Args:
        kinds: the chunks to read.

    Raises:
        ValueError: the file is damaged, too large, or has what is not read.
    """
    try:
        return Reader(data, kinds).sprite
    except (struct.error, IndexError, zlib.error) as error:
        raise ValueError("it is cut short or damaged") from error


class Reader:
    """Reads the chunks of a file into `sprite`."""

    def __init__(self, data: bytes, kinds: Collection[int]) -> None:
        _, _, count, width, height, self.depth, self.flags, _, self.transparent, _ = HEADER.unpack_from(data)
        if self.depth not in (8, 16, 32) or not width or not height:
            raise ValueError("it is damaged")
        if len(data) > MAX_FILE or count > MAX_FRAMES:
            raise ValueError(f"it has more than {MAX_FILE:,} bytes or {MAX_FRAMES:,} frames")
        if width * height > MAX_SIDES or count * width * height > MAX_PIXELS:
            raise ValueError(f"it has more than {MAX_SIDES:,} pixels, or {MAX_PIXELS:,} in all frames")
        self.sprite = Sprite(height, width, [], [], [], np.zeros((0, 4), np.uint8))
        self.all_layers: list[Layer | None] = []  # with groups, as None
        self.groups: list[bool] = []  # whether the groups that the next layer is in are visible
        self.left, self.chunks_left = MAX_CELS, MAX_CHUNKS
        place = HEADER.size
        for number in range(count):
            size, magic, _, duration, _ = FRAME_HEADER.unpack_from(data, place)
            if magic != FRAME or size < FRAME_HEADER.size:
                raise ValueError("it is damaged")
            self.sprite.durations.append(duration)
            for kind, content in chunks(memoryview(data)[place : place + size]):
                self.chunks_left -= 1
                if kind in kinds:
                    self.add(number, kind, content)
                if self.chunks_left < 0 or len(self.sprite.tags) > MAX_TAGS:
                    raise ValueError(f"it has more than {MAX_CHUNKS:,} chunks or {MAX_TAGS:,} tags")
            place += size

    def add(self, frame: int, kind: int, content: memoryview) -> None:
        if kind == PALETTE:
            self.sprite.palette = palette_in(content, self.sprite.palette)
        elif kind == LAYER:
            self.add_layer(content)
        elif kind == CEL:
            self.add_cel(frame, content)
        elif kind == TAGS:
            self.sprite.tags += tags_in(content)

    def add_layer(self, content: memoryview) -> None:
        flags, kind, depth, _, _, blend, opacity = LAYER_HEADER.unpack_from(content)
        name, _ = string_at(content, LAYER_HEADER.size)
        visible = bool(flags & 1) and all(self.groups[max(depth - 1, 0) : depth])  # which its own groups have decided
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

    def add_cel(self, frame: int, content: memoryview) -> None:
        number, left, top, opacity, kind, order = CEL_HEADER.unpack_from(content)
        layer = self.all_layers[number]
        if layer is None:
            raise ValueError("it is damaged")
        if kind == LINKED:
            (source,) = struct.unpack_from("<H", content, CEL_HEADER.size)
            if source in layer.cels:
                self.keep(layer, frame, layer.cels[source]._replace(order=order))
            return
        width, height = struct.unpack_from("<2H", content, CEL_HEADER.size)
        if kind not in (RAW, COMPRESSED) or width * height > MAX_SIDES:
            raise ValueError("it has cels that are too large, or of an unknown kind")
        size, packed, palette = width * height * self.depth // 8, content[CEL_HEADER.size + 4 :], self.sprite.palette
        alphas = np.rint(np.arange(256) * (opacity / 255) * (layer.opacity / 255)).astype(np.uint8)

        def pixels() -> np.ndarray:
            data = zlib.decompressobj().decompress(packed, size + 1) if kind == COMPRESSED else packed
            if len(data) != size:
                raise ValueError("it is cut short or damaged")
            image = self.to_rgba(np.frombuffer(data, np.uint8).reshape(height, width, self.depth // 8), palette)
            image[..., 3] = alphas[image[..., 3]]
            return image

        self.keep(layer, frame, Cel(top, left, width * height, order, pixels))
        pixels()  # raises an error before an image is written

    def keep(self, layer: Layer, frame: int, cel: Cel) -> None:
        layer.cels[frame] = cel
        self.left -= cel.size
        if self.left < 0:
            raise ValueError(f"its cels are too large: they have more than {MAX_CELS:,} pixels")

    def to_rgba(self, pixels: np.ndarray, palette: np.ndarray) -> np.ndarray:
        """Convert pixels uint8 (H, W, bytes) to straight RGBA."""
        if self.depth == 32:
            return pixels.copy()
        if self.depth == 16:  # gray and alpha
            return pixels[..., [0, 0, 0, 1]]
        colors = np.zeros((256, 4), np.uint8)
        colors[: len(palette)] = palette
        colors[self.transparent] = 0
        return colors[pixels[..., 0]]


def chunks(frame: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the kind and content of each chunk of a frame."""
    _, _, old_count, _, count = FRAME_HEADER.unpack_from(frame)
    place = FRAME_HEADER.size
    for _ in range(count or old_count):
        size, kind = CHUNK_HEADER.unpack_from(frame, place)
        if size < CHUNK_HEADER.size or place + size > len(frame):
            raise ValueError("it is cut short or damaged")
        yield kind, frame[place + CHUNK_HEADER.size : place + size]
        place += size


def palette_in(content: memoryview, before: np.ndarray) -> np.ndarray:
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


def tags_in(content: memoryview) -> list[Tag]:
    (count,) = struct.unpack_from("<H", content)
    tags, place = [], 10
    for _ in range(count):
        first, last = struct.unpack_from("<2H", content, place)
        name, place = string_at(content, place + 17)
        tags.append(Tag(name, first, last))
    return tags


def string_at(content: memoryview, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<H", content, place)
    return str(content[place + 2 : place + 2 + length], "utf-8", "replace"), place + 2 + length


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
