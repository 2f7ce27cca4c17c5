"""Images as Python users get them and give them, and images of files, decoded for the networks of a run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from gan.data.decoding.decode import SINGLE_IMAGE_FITS, Decoder
from gan.data.decoding.reader import ImageError, to_srgb, unpremultiply
from gan.data.sources.files import File, decode_all, find, first_image, single
from gan.images.convert import grid, save_pngs, to_pil_image
from gan.settings import MODES
from gan.utils.errors import UserError, writing
from gan.utils.option_values import pair

Given = Any  # what `to_pil_images` accepts


class Images(Sequence[Image.Image]):
    """A list of images of one size: `images[0]` is a Pillow image, and a notebook shows all of them as a grid.

    Slices, and sums with `+`, are Images. `numpy.asarray(images)` is uint8 (N, H, W, C). RGBA has straight alpha.

    Args:
        pixels: uint8 (N, C, H, W) as networks generate them: gray, RGB, or RGBA with premultiplied alpha.

    Attributes:
        pixels: the same tensor, on the CPU.
    """

    def __init__(self, pixels: Tensor) -> None:
        if pixels.ndim != 4 or pixels.dtype != torch.uint8 or pixels.shape[1] not in MODES:
            raise UserError(f"images are {pixels.dtype} {tuple(pixels.shape)}; give uint8 (N, C, H, W)")
        self.pixels = pixels.cpu()

    @property
    def tensor(self) -> Tensor:
        """The images as uint8 (N, C, H, W); RGBA has straight alpha."""
        if self.pixels.shape[1] < 4:
            return self.pixels
        return torch.stack([torch.from_numpy(unpremultiply(image.numpy())) for image in self.pixels])

    @overload
    def __getitem__(self, index: int) -> Image.Image: ...
    @overload
    def __getitem__(self, index: slice) -> Images: ...
    def __getitem__(self, index: int | slice) -> Image.Image | Images:
        return Images(self.pixels[index]) if isinstance(index, slice) else to_pil_image(self.pixels[index])

    def __len__(self) -> int:
        return len(self.pixels)

    def __iter__(self) -> Iterator[Image.Image]:
        return map(to_pil_image, self.pixels)

    def __add__(self, other: Images) -> Images:
        return Images(torch.cat([self.pixels, other.pixels]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Images) and torch.equal(self.pixels, other.pixels)

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        pixels = self.tensor.permute(0, 2, 3, 1).numpy()
        return pixels.astype(dtype or pixels.dtype, copy=bool(copy))

    def grid(self, columns: int | None = None) -> Image.Image:
        """Return all images as one, which is nearly square unless `columns` is given. Small images are enlarged."""
        if not len(self):
            raise UserError("there are no images")
        return to_pil_image(grid(self.pixels, columns))

    def save(self, folder: str | os.PathLike[str], force: bool = False) -> list[Path]:
        """Write 0.png, 1.png, ... to a folder, which is created if missing, and return their paths.

        Args:
            force: overwrite existing files.

        Raises:
            UserError: a file exists already or cannot be written.
        """
        paths = [Path(folder) / f"{n}.png" for n in range(len(self))]
        if not force and (existing := [path for path in paths if path.exists()]):
            raise UserError(f"{existing[0]}: exists already; give another folder, or force=True")
        with writing(folder):
            save_pngs(self.pixels, paths)
        return paths

    def _repr_png_(self) -> bytes | None:
        return self.grid()._repr_png_() if len(self) else None

    def __repr__(self) -> str:
        n, channels, height, width = self.pixels.shape
        return f"<Images: {n} of {width}x{height} pixels, {MODES[channels]}>"


def to_pil_images(given: Given) -> list[Image.Image]:
    """Return RGB or RGBA images with straight alpha, upright and in sRGB.

    Args:
        given: an image or a list of images, each of them a path of a file or a folder, a Pillow image, an array (H, W),
            (H, W, C) or a tensor (C, H, W), with C = 1, 3 or 4; (N, H, W, C) and (N, C, H, W) are several. Arrays and
            tensors are uint8, or float in 0..1.

    Raises:
        UserError: an image cannot be read, or is something else.
    """
    if isinstance(given, str | os.PathLike):
        return from_path(Path(given))
    if isinstance(given, Image.Image):
        return [to_srgb(ImageOps.exif_transpose(given))]
    if isinstance(given, Tensor):
        values = given.detach().cpu()
        values = values if values.dtype == torch.uint8 else values.float()
        return to_pil_images((values.movedim(-3, -1) if values.ndim > 2 else values).numpy())
    if isinstance(given, np.ndarray):
        return from_array(given)
    if isinstance(given, Iterable):
        return [image for each in given for image in to_pil_images(each)]
    raise UserError(f"an image of type {type(given).__name__}: give a path, a Pillow image, an array or a tensor")


def is_single(given: Given) -> bool:
    if isinstance(given, str | os.PathLike):
        return Path(given).is_file() and Path(given).suffix.lower() != ".zip"
    return isinstance(given, Image.Image) or (isinstance(given, Tensor | np.ndarray) and given.ndim < 4)


def from_path(path: Path) -> list[Image.Image]:
    """Return the first image of a file, or of each file in a folder or zip archive."""
    images = []
    for file in find_images(path):
        try:
            images.append(first_image(file))
        except ImageError as error:
            raise UserError(f"{file.shown}: {error}") from error
    return images


def from_array(pixels: np.ndarray) -> list[Image.Image]:
    """Return images RGB or RGBA of an array (H, W), (H, W, C) or (N, H, W, C)."""
    many = pixels[..., None] if pixels.ndim == 2 else pixels
    many = many[None] if many.ndim == 3 else many
    floats = np.issubdtype(pixels.dtype, np.floating)
    known = many.ndim == 4 and many.shape[-1] in MODES and 0 not in many.shape[1:]
    if not known or not (floats or pixels.dtype == np.uint8):
        raise UserError(
            f"an image of {pixels.dtype} {pixels.shape}: give uint8, or floats in 0..1, as arrays (H, W, C) or "
            "(N, H, W, C), or tensors (C, H, W) or (N, C, H, W), with 1, 3 or 4 channels C"
        )
    if floats:
        if many.size and not (many.min() >= 0 and many.max() <= 1):  # NaN fails both
            raise UserError("an image with floats outside of 0..1: give floats in 0..1, or uint8 in 0..255")
        many = np.rint(many * 255).astype(np.uint8)
    mode = "RGBA" if many.shape[-1] == 4 else "RGB"
    flat = many[..., 0] if many.shape[-1] == 1 else many
    return [Image.fromarray(np.ascontiguousarray(each)).convert(mode) for each in flat]


# ---- images of files for the networks of a run


def find_images(source: Path) -> list[File]:
    """Return the image files of a path; raise UserError if there are none."""
    if source.is_file() and source.suffix.lower() != ".zip":
        return [single(source)]
    return find([str(source)])


def decode_images(files: list[File], data: dict[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """Return images uint8 (C, H, W) by name, decoded with the data options of a run, and a line per unreadable file.

    Also print how many images were resized, and how many lose their transparency.
    """
    decoder = decoder_of(data)
    height, width = decoder.size
    images, broken, resized, transparent = {}, [], 0, 0
    for file, image in zip(files, decode_all(decoder, files), strict=True):
        if image.pixels is None:
            broken.append(f"{file.shown}: {image.error}")
            continue
        resized += image.size != (width, height)
        transparent += image.mode == "RGBA"
        images[printable(file.name)] = torch.from_numpy(image.pixels)
    if resized:
        print(f"{resized} of {len(images)} images are resized to the model's {width}x{height} pixels")
    if transparent and decoder.channels < 4:
        print(f"{transparent} of {len(images)} images have transparency and get a {decoder.background} background")
    return images, broken


def decoder_of(data: dict[str, Any]) -> Decoder:
    """Return the decoder with the data options of a run. It crops an image if the run cuts patches."""
    fit = data["fit"] if data.get("fit") in SINGLE_IMAGE_FITS else "crop"
    return Decoder(
        pair(data["size"]), data["channels"], fit, data.get("resample", "auto"), data.get("background", "white")
    )


def printable(name: str) -> str:
    """Return the name of a file for tables and files. Bytes that are not UTF-8 are escaped."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
