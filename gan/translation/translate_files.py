"""Translate files and folders of images and videos: find inputs and outputs, and translate each file."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import FORMATS, MAX_PIXELS, ImageError, TooLarge
from gan.data.sources.files import SUFFIXES, File, find, single
from gan.images import files as image_files
from gan.images import video
from gan.images.files import save_options
from gan.translation.image_translator import BYTES_PER_PIXEL
from gan.utils.errors import UserError, reason
from gan.utils.files import write_atomically

if TYPE_CHECKING:
    from gan.translation.image_translator import ImageTranslator


class Describe(Protocol):
    """Returns the texts to embed in translations and sheets, see `gan.images.files`."""

    def __call__(self, original: str, tile: int | None, image: Image.Image | None, saved_as: str = "") -> str:
        """Return the text.

        Args:
            original: digest of the bytes of the original file.
            tile: side of the tiles if the image was split, else None.
            image: the image as written, if the format is lossless.
            saved_as: for a sheet, Pillow's format of the translation on it.
        """
        ...


PIXEL_ART_BYTES_PER_PIXEL = 120  # upper limit of memory in both processes, measured
SHEET_SIDE = 512  # maximum side of each image on a sheet, in pixels


def max_pixels(memory: int, pixel_art: bool, bytes_per_pixel: int = BYTES_PER_PIXEL) -> int:
    """Return the largest number of pixels of an image that fits into memory, at most the limit for training images.

    Args:
        memory: available memory in bytes. The network may use half of it.
        pixel_art: whether the translation is converted to pixel art.
        bytes_per_pixel: what the function of images needs.
    """
    each = max(bytes_per_pixel, PIXEL_ART_BYTES_PER_PIXEL if pixel_art else 0)
    return max(1, min(MAX_PIXELS, memory // 2 // each))


def plan(
    source: Path, output: str, translator: str = "", sheets: Path | None = None, suffix: str | None = None
) -> list[tuple[File, Path]]:
    """Return the input files and the output path of each.

    Args:
        translator: what translates, which may be a file.
        sheets: folder for sheets of input and output.
        suffix: extension that the names of images get; None for that of the input.

    Raises:
        UserError: there is no image, an output or sheet would overwrite what is read or another output, or would be
            read as input.
    """
    target = Path(output)
    if not source.is_file() and not source.is_dir():
        raise UserError(f"{source}: is neither a file nor a folder")
    if source.is_file():
        folder = target.is_dir() or output.endswith(os.sep) or not target.suffix
        target = target / source.name if folder else target
        if not folder and not format_of(target) and not is_video(source.name):
            raise UserError(f"{target}: images cannot be written with this extension; use another, such as .png")
        if suffix and not folder and target.suffix != suffix:
            raise UserError(f"--format {suffix[1:]}: {target} has another extension; give one of them")
        files = [(single(source), target)]
    else:
        refuse_inside(target, source)
        if target.is_file():
            raise UserError(f"{target}: is a file; the output for a folder must be a folder")
        files = [(file, target / file.name) for file in find([str(source)], SUFFIXES | video.CONTAINERS.keys())]
    if suffix:
        files = [(file, path if is_video(file.name) else path.with_suffix(suffix)) for file, path in files]
    refuse_overwriting(files, translator, sheets)
    if sheets:
        refuse_inside(sheets, source, "--compare ")
    return files


def refuse_overwriting(files: list[tuple[File, Path]], translator: str = "", sheets: Path | None = None) -> None:
    """Raise UserError if an output or a sheet would overwrite what is read, or another output."""
    read = {os.path.realpath(path) for path in (translator, *(file.path for file, _ in files)) if path}
    outputs = [path for _, path in files] + [sheet_path(file, sheets) for file, _ in files if sheets]
    written = Counter(os.path.realpath(path) for path in outputs)
    for path in outputs:
        if os.path.realpath(path) in read:
            raise UserError(f"{path}: is both input and output; give another output")
        if (count := written[os.path.realpath(path)]) > 1:
            raise UserError(f"{path}: would be written {count} times; rename an input, or give another output")


def refuse_inside(folder: Path, source: Path, option: str = "") -> None:
    """Raise UserError if an output folder is the input folder or is inside it."""
    inside, outside = Path(os.path.realpath(folder)), Path(os.path.realpath(source))
    if inside == outside or outside in inside.parents:
        raise UserError(f"{option}{folder}: is in the input folder and would be read as input; give another folder")


def format_of(path: Path) -> str | None:
    """Return Pillow's format for the extension of a file; None if images cannot be written in it."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind if kind in FORMATS else None


def is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in video.CONTAINERS


def sheet_path(file: File, sheets: Path) -> Path:
    return sheets / f"{file.name}.png"


def translate_files(
    todo: list[tuple[File, Path]],
    translator: ImageTranslator,
    single_file: bool,
    sheets: Path | None,
    limit: int,
    force: bool,
    advance: Callable[[int], None],
    apart: IsolatedProcess,
    describe: Describe | None = None,
) -> tuple[list[str], int]:
    """Translate files. Return a line for each failed file, and the largest side of the translated images.

    Args:
        single_file: whether the input is one file. Then the extension of the output selects the format, and errors of a
            video are raised.
        sheets: folder for sheets of input and output; None writes no sheets.
        limit: maximum number of pixels of an image.
        force: overwrite existing sheets.
        apart: process in which images are read.
        describe: returns the text to embed in an image; None embeds none.
    """
    failed, side = [], 0
    for file, target in todo:
        same = target.suffix.lower() == os.path.splitext(file.name)[1].lower()
        kind = format_of(target) if single_file or not same else None  # None is the format of the input
        lossless = translator.exact and (kind or format_of(target)) == "WEBP"  # JPEG cannot be lossless
        exact = {"lossless": True} if lossless else {}
        try:
            if is_video(file.name):
                video.convert(Path(file.path), target, translator.for_frames(), limit)
            else:
                contents = apart(image_files.read_file, file, kind, limit)
                largest = max(image.shape[0] for image in contents.images), max(i.shape[1] for i in contents.images)
                tile = translator.function.tile_side(*largest)
                about = partial(describe, contents.digest, tile) if describe else None
                change = translator.for_frames() if len(contents.images) > 1 else translator
                before = image_files.write(contents, target, change, kind, about, **exact)
                side = max(side, *before.shape[:2])
                if sheets and (force or not sheet_path(file, sheets).exists()):
                    after = apart(image_files.read_first, target, limit)
                    text = partial(about, saved_as=kind or contents.format) if about else None
                    save_sheet(before, after, sheet_path(file, sheets), text)
        except TooLarge as error:
            failed.append(f"{file.shown}: {error}; set another limit with --max-pixels")
        except ImageError as error:
            failed.append(f"{file.shown}: {error}")
        except UserError as error:  # raised for a video
            if single_file:
                raise
            failed.append(str(error))
        except MemoryError:
            failed.append(f"{file.shown}: does not fit into memory; try a smaller --tile")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            failed.append(f"{file.shown}: {reason(error)}")
        advance(1)
    return failed, side


def save_sheet(
    before: np.ndarray, after: np.ndarray, path: Path, describe: Callable[[Image.Image], str | None] | None = None
) -> None:
    """Save input and output, uint8 (H, W, 3 or 4), side by side as a PNG. `describe` returns the text to embed."""
    both = [Image.fromarray(pixels).convert("RGBA") for pixels in (before, after)]
    for image in both:
        image.thumbnail((SHEET_SIDE, SHEET_SIDE))
    sheet = Image.new("RGB", (2 * both[0].width + 4, both[0].height), "white")
    for index, image in enumerate(both):
        sheet.paste(image, (index * (both[0].width + 4), 0), image)
    text = describe(sheet) if describe else None
    options = {} if text is None else save_options("PNG", text)
    write_atomically(path, lambda file: sheet.save(file, "PNG", **options))
