"""Files of Aseprite (.aseprite, .ase), as its file specification describes them: palettes of indexed images."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

MAGIC, FRAME = 0xA5E0, 0xF1FA
LAYER, CEL, PALETTE = 0x2004, 0x2005, 0x2019  # kinds of chunks
HEADER = struct.Struct("<I5HIH8xB3xH94x")  # size, magic, frames, width, height, depth, flags, speed, 2 of the palette
FRAME_HEADER = struct.Struct("<I3H2xI")  # size, magic, old number of chunks, milliseconds, number of chunks
CHUNK_HEADER = struct.Struct("<IH")  # size, kind
ENTRY = struct.Struct("<H4B")  # flags, red, green, blue, alpha


def is_aseprite(data: bytes) -> bool:
    return len(data) >= HEADER.size and data[4:6] == MAGIC.to_bytes(2, "little")


def palette_of(data: bytes) -> np.ndarray:
    """Return the colors of the palette of a file, uint8 (K, 3), without the transparent one.

    Raises:
        ValueError: the file ends too early, or has no palette.
    """
    try:
        for kind, content in chunks_of_frame(data):
            if kind == PALETTE:
                return palette_in(content)
    except (struct.error, IndexError) as error:
        raise ValueError("it is cut short") from error
    raise ValueError("it has no palette")


def chunks_of_frame(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of each chunk of the first frame."""
    _, _, old_count, _, count = FRAME_HEADER.unpack_from(data, HEADER.size)
    place = HEADER.size + FRAME_HEADER.size
    for _ in range(count or old_count):
        size, kind = CHUNK_HEADER.unpack_from(data, place)
        content = data[place + CHUNK_HEADER.size : place + size]
        if size < CHUNK_HEADER.size or len(content) != size - CHUNK_HEADER.size:
            raise ValueError("it is cut short")
        yield kind, content
        place += size


def palette_in(content: bytes) -> np.ndarray:
    """Return the colors of a palette chunk, uint8 (K, 3)."""
    _, first, last = struct.unpack_from("<3I", content)
    place, colors = 20, []
    for _ in range(first, last + 1):
        flags, red, green, blue, alpha = ENTRY.unpack_from(content, place)
        place += ENTRY.size
        if flags & 1:  # has a name
            place += 2 + struct.unpack_from("<H", content, place)[0]
        if alpha:
            colors.append((red, green, blue))
    return np.array(colors, np.uint8).reshape(-1, 3)


def encode(indices: np.ndarray, palette: np.ndarray) -> bytes:
    """Return the file of an indexed image of one layer.

    Args:
        indices: uint8 (H, W), of the palette.
        palette: uint8 (K, 3), with at most 255 colors. In the file, index 0 is transparent and colors start at 1.
    """
    height, width = indices.shape
    colors = [(0, 0, 0, 0), *((*color, 255) for color in palette.tolist())]
    entries = b"".join(ENTRY.pack(0, *color) for color in colors)
    layer = struct.pack("<6HB3xH", 3, 0, 0, 0, 0, 0, 255, 5) + b"Image"  # visible and editable
    cel = struct.pack("<HhhBHh5xHH", 0, 0, 0, 255, 0, 0, width, height) + (indices + 1).astype(np.uint8).tobytes()
    contents = {PALETTE: struct.pack("<3I8x", len(colors), 0, len(colors) - 1) + entries, LAYER: layer, CEL: cel}
    body = b"".join(CHUNK_HEADER.pack(len(x) + CHUNK_HEADER.size, kind) + x for kind, x in contents.items())
    frame = FRAME_HEADER.pack(len(body) + FRAME_HEADER.size, FRAME, len(contents), 100, len(contents)) + body
    size = HEADER.size + len(frame)
    return HEADER.pack(size, MAGIC, 1, width, height, 8, 1, 100, 0, len(colors)) + frame
