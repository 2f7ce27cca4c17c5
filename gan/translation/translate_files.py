"""Translate files and folders of images and videos: find inputs and outputs, and translate each file."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import FORMATS, MAX_PIXELS, PHONE, ImageError, TooLarge
from gan.data.sources.files import SUFFIXES, File, find, single
from gan.images import files as image_files
from gan.images import video
from gan.translation.image_translator import BYTES_PER_PIXEL
from gan.utils.errors import UserError
from gan.utils.output import counted, print_line

if TYPE_CHECKING:
    from gan.translation.image_translator import ImageTranslator


# Returns the text to embed in a translation, see `gan.images.files`. Its arguments are the digest of the original file,
# the side of the tiles if the image was split, and the image as written if the format is lossless.
Describe = Callable[[str, int | None, Image.Image | None], str]

PIXEL_ART_BYTES_PER_PIXEL = 120  # upper limit of memory in both processes, measured


def max_pixels(memory: int, pixel_art: bool, bytes_per_pixel: int = BYTES_PER_PIXEL) -> int:
    """Return the largest number of pixels of an image that fits into memory, at most the limit for training images.

    The function of images may use half of the memory in bytes.
    """
    each = max(bytes_per_pixel, PIXEL_ART_BYTES_PER_PIXEL if pixel_art else 0)
    return max(1, min(MAX_PIXELS, memory // 2 // each))


def plan(source: Path, output: str, suffix: str | None = None) -> list[tuple[File, Path]]:
    """Return the input files and the output path of each.

    Args:
        suffix: extension that the names of images get; None for that of the input.

    Raises:
        UserError: there is no image, or an output would overwrite what is read or another output, or would be read as
            input.
    """
    target = Path(output)
    if source.is_file():
        folder = target.is_dir() or output.endswith(os.sep) or not target.suffix
        target = target / source.name if folder else target
        if not folder and not format_of(target) and not is_video(source.name):
            raise UserError(f"{target}: images cannot be written with this extension; use another, such as .png")
        if suffix and not folder and target.suffix != suffix:
            raise UserError(f"{target}: the extension of this format is {suffix}")
        files = [(single(source), target)]
    else:
        refuse_inside(target, source)
        if target.is_file():
            raise UserError(f"{target}: is a file; the output for a folder must be a folder")
        files = [(file, target / file.name) for file in find([str(source)], SUFFIXES | video.CONTAINERS.keys())]
    files = [(file, path.with_suffix(".jpg") if path.suffix.lower() in PHONE else path) for file, path in files]
    if suffix:
        files = [(file, path if is_video(file.name) else path.with_suffix(suffix)) for file, path in files]
    read = {os.path.realpath(file.path) for file, _ in files}
    written = Counter(os.path.realpath(path) for _, path in files)
    for _, path in files:
        if os.path.realpath(path) in read:
            raise UserError(f"{path}: is both input and output; give another output")
        if (count := written[os.path.realpath(path)]) > 1:
            raise UserError(f"{path}: would be written {count} times; rename an input, or give another output")
    return files


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


def translate_files(
    todo: list[tuple[File, Path]],
    translator: ImageTranslator,
    single_file: bool,
    limit: int,
    advance: Callable[[int], None],
    apart: IsolatedProcess,
    describe: Describe | None = None,
) -> tuple[list[str], int]:
    """Translate files. Return a line for each failed file, and the largest side of the translated images.

    Args:
        single_file: whether the input is one file. Then the extension of the output selects the format, and errors of a
            video are raised.
        limit: maximum number of pixels of an image.
        apart: process in which images are read, and videos read and written.
        describe: returns the text to embed in an image; None embeds none.
    """
    failed, side, deep = [], 0, 0
    for file, target in todo:
        same = target.suffix.lower() == os.path.splitext(file.name)[1].lower()
        kind = format_of(target) if single_file or not same else None  # None is the format of the input
        lossless = translator.exact and (kind or format_of(target)) == "WEBP"  # JPEG cannot be lossless
        exact = {"lossless": True} if lossless else {}
        try:
            if is_video(file.name):
                video.convert(Path(file.path), target, translator.for_frames(), apart, limit)
            else:
                contents = apart(image_files.read_file, file, kind, limit)
                deep += contents.deep
                largest = max(image.shape[0] for image in contents.images), max(i.shape[1] for i in contents.images)
                tile = translator.function.tile_side(*largest)
                about = partial(describe, contents.digest, tile) if describe else None
                change = translator.for_frames() if len(contents.images) > 1 else translator
                image_files.write(contents, target, change, kind, about, **exact)
                side = max(side, *largest)
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
        advance(1)
    if deep:
        print_line(f"note: {counted(deep, 'file')} with 16 bits a channel; the results have 8")
    return failed, side
