"""Sources of pairs of images. A pair is stored as one image with twice the channels for the cache, crops and flips.

`a` is the input and `b` the target: two files with the same name in two folders, the halves of one file, or a
photograph and the same photograph in a known style (`gan.looks`).
"""

from __future__ import annotations

import os
import posixpath
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from gan.data.decoding.cache import source_hash
from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError, read_first_frame, unpremultiply
from gan.data.sources.files import File, ImageFiles, content, find
from gan.looks import color_table, registry
from gan.looks.fields import resize, resized
from gan.utils.errors import UserError
from gan.utils.output import first_few

MAX_LISTED = 20  # maximum number of files without a partner to list in a message
LANCZOS = Image.Resampling.LANCZOS
LENGTH_BYTES = 8  # bytes of the length of the first file, which precedes the contents of two files


class MatchedFiles(ImageFiles):
    """Files of folder a, each paired with the file of folder b that has the same name without extension.

    Files without a partner are skipped, with a message.
    """

    stacked = 2

    def __init__(self, a: str, b: str) -> None:
        first, second = files_by_name(a), files_by_name(b)
        names = [name for name in first if name in second]
        unmatched = sorted(set(first) ^ set(second))
        some = first_few([repr(name) for name in unmatched], MAX_LISTED)
        if not names:
            raise UserError(f"no image in {a!r} has the same name as one in {b!r}: {some}")
        if unmatched:
            print(f"{len(unmatched)} images in {a} or {b} have no partner: {some}", flush=True)
        self.files, self.partners = [first[name] for name in names], [second[name] for name in names]
        self.where = f"{a} and {b}"
        self.title = f"decoding {self.where}"
        self.identity = ["pairs", os.path.abspath(a), os.path.abspath(b)]
        self.keys = self.names = [file.name for file in self.files]
        self.stamps = [[*one.stamp, *two.stamp] for one, two in zip(self.files, self.partners, strict=True)]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "partners": self.partners}

    def content(self, index: int) -> bytes:
        first = content(self.files[index])
        return len(first).to_bytes(LENGTH_BYTES, "big") + first + content(self.partners[index])

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
        a, b = read(data[LENGTH_BYTES:end], decoder), read(data[end:], decoder)
        sizes = f"the images of the pair have sizes {a.width}x{a.height} and {b.width}x{b.height}"
        if abs(a.width * b.height - b.width * a.height) > max(a.width * b.height, b.width * a.height) / 50:
            raise ImageError(f"{sizes}, with different aspect ratios")
        if decoder.fit == "patches" and a.size != b.size:
            raise ImageError(f"{sizes}: fit=patches needs equal sizes")
        yield from decode_pair(a, b, decoder)


class SideBySideFiles(ImageFiles):
    """Files whose left half is a and whose right half is b, as in the pix2pix datasets."""

    stacked = 2

    def __init__(self, roots: Sequence[str]) -> None:
        super().__init__(roots)
        self.identity = ["halves", *self.identity]

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        image = read_first_frame(BytesIO(data), decoder.max_pixels)  # full size: a smaller JPEG has no exact middle
        if image.width % 2:
            raise ImageError(f"its width of {image.width} pixels is odd and cannot be halved")
        middle = image.width // 2
        a, b = (image.crop((left, 0, left + middle, image.height)) for left in (0, middle))
        yield from decode_pair(a, b, decoder)


class StyledFiles(ImageFiles):
    """Photographs, each paired with itself in a look of `gan.looks`.

    The look is applied at the training size. With fit="patches" it is applied to the whole photograph, from which the
    patches are cut: a vignette then has one center, and a screen the pitch that it has in the file. With `full_size`
    this is so with every fit.
    """

    stacked = 2

    def __init__(self, roots: Sequence[str], style: str | Sequence[str], full_size: bool = False) -> None:
        super().__init__(roots)
        registry.make_style(style)  # raises if it is unknown
        self.filters = registry.filter_names(style)
        self.full_size = full_size
        self.identity = [
            self.identity, self.filters, color_table.recorded(self.filters), source_hash(*registry.MODULES), full_size
        ]  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "filters": self.filters, "full_size": self.full_size}

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        seed = zlib.crc32(data)  # a photograph always gets the same grain
        if not self.full_size and decoder.fit != "patches":
            yield self.with_style(read(data, decoder), decoder, seed)
            return
        image = read_first_frame(BytesIO(data), decoder.max_pixels)
        if not self.full_size:
            image = decoder.enlarge_to_patch(image)
        whole = replace(decoder, size=(image.height, image.width), fit="stretch", patches_per_image=1)
        pair = self.with_style(image, whole, seed)
        if self.full_size:
            yield resized(pair.transpose(1, 2, 0), decoder.size).transpose(2, 0, 1)
            return
        for left, top, right, bottom in decoder.patch_boxes(image):
            yield pair[:, top:bottom, left:right]

    def with_style(self, image: Image.Image, decoder: Decoder, seed: int) -> np.ndarray:
        """Return a decoded image and the same image in the style, uint8 (2C, H, W)."""
        pixels = decoder.fit_image(image)
        colors = unpremultiply(pixels)[:3] if len(pixels) == 4 else np.broadcast_to(pixels, (3, *pixels.shape[1:]))
        styled = Image.fromarray(registry.make_style(self.filters)(colors.transpose(1, 2, 0), seed))
        if len(pixels) == 4:
            styled.putalpha(Image.fromarray(pixels[3]))
        return np.concatenate([pixels, decoder.fit_image(styled)])  # which has the right size already


class ReducedFiles(ImageFiles):
    """Image files. Each image or patch is paired with its reduction, enlarged again by Lanczos.

    With fit="patches", files with a side below that of a patch are left out: they have no detail to learn.
    """

    stacked = 2

    def __init__(self, roots: Sequence[str], factor: int) -> None:
        super().__init__(roots)
        self.factor = factor
        self.identity = ["reduced", factor, *self.identity]

    def __getstate__(self) -> dict[str, Any]:
        return {"files": self.files, "factor": self.factor}

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        image = read_first_frame(BytesIO(data), decoder.max_pixels)
        if decoder.fit != "patches":
            yield self.pair(decoder.fit_image(image))
            return
        height, width = decoder.size
        if image.height < height or image.width < width:
            raise ImageError(f"{image.width}x{image.height} is smaller than a patch of {width}x{height}")
        columns, rows = image.width // self.factor * self.factor, image.height // self.factor * self.factor
        whole = replace(decoder, size=(rows, columns), fit="stretch", patches_per_image=1)
        pair = self.pair(whole.fit_image(image.crop((0, 0, columns, rows))))  # of the right size: nothing is resampled
        for left, top, _, _ in decoder.patch_boxes(image):
            left, top = left // self.factor * self.factor, top // self.factor * self.factor  # the grid of a whole image
            yield pair[:, top : top + height, left : left + width]

    def pair(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image (C, H, W) after its reduced and enlarged form, (2C, H, W)."""
        height, width = pixels.shape[1:]
        small = height // self.factor, width // self.factor
        enlarged = [resize(resize(plane, small, LANCZOS), (height, width), LANCZOS) for plane in pixels]
        return np.concatenate([np.stack(enlarged), pixels])


def files_by_name(root: str) -> dict[str, File]:
    """Return the images below a folder by their names without extension."""
    files: dict[str, File] = {}
    for file in find([root]):
        name = posixpath.splitext(file.name)[0]
        if name in files:
            raise UserError(f"{root!r}: {files[name].name!r} and {file.name!r} have the same name; rename one of them")
        files[name] = file
    return files


def read(data: bytes, decoder: Decoder) -> Image.Image:
    """Return the upright first frame of a file; raise ImageError if it cannot be read."""
    return read_first_frame(BytesIO(data), decoder.max_pixels, decoder.min_side())


def decode_pair(a: Image.Image, b: Image.Image, decoder: Decoder) -> Iterator[np.ndarray]:
    """Yield the two images, or each pair of patches of them, as one image (2C, H, W)."""
    for patches in zip(decoder.patches(a), decoder.patches(b), strict=True):
        yield np.concatenate([*map(decoder.fit_image, patches)])
