"""Read what visitors upload: images and zip archives, within limits that are checked before anything is decoded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan.common.errors import UserError
from gan.common.names import file_name, one_line
from gan.data.first_frame import Decoded, decode
from gan.data.sources.files import File, find, single
from gan.data.sources.folder import SUFFIXES
from gan.inference.inputs import decoder_of
from gan.sharing.demo import limits
from gan.sharing.demo.context import Context

IMAGES = sorted(SUFFIXES)  # extensions


def find_files(paths: Sequence[str], context: Context) -> list[File]:
    """Return the image files of uploads, also those in zip archives, without unpacking them.

    Raises:
        UserError: there are none, or too many, or too many bytes.
    """
    if not paths:
        raise UserError("no file: drop images or a zip archive first")
    found = context.apart(list_files, [str(path) for path in paths])
    if isinstance(found, str):
        raise UserError(found)
    return [File(*each) for each in found]


def list_files(paths: list[str]) -> list[File] | str:
    """Return the image files of paths, or what is wrong with them. This runs in another process."""
    files: list[File] = []
    for path in paths:
        name = one_line(os.path.basename(path))
        if path.lower().endswith(".zip"):
            try:
                files += find([path])
            except UserError as error:
                return str(error).replace(path, name)
        elif os.path.splitext(path)[1].lower() in SUFFIXES:
            files.append(single(Path(path)))
        else:
            return f"{name}: is neither an image nor a zip archive; upload PNG, JPEG, WebP or a zip archive"
        if len(files) > limits.MAX_FILES:
            return f"{len(files):,} images are too many; upload at most {limits.MAX_FILES} at a time"
    if (size := sum(file.stamp[0] for file in files)) > limits.MAX_UNPACKED:
        return f"the images have {size:,} bytes unpacked; the limit is {limits.MAX_UNPACKED:,}; upload fewer images"
    return files


def decode_one(path: str, data: dict[str, Any], context: Context) -> Decoded:
    """Return an uploaded image, decoded with the data options of a run.

    Raises:
        UserError: it cannot be read, or is too large.
    """
    decoder = dataclasses.replace(decoder_of(data), max_pixels=limits.MAX_PIXELS)
    (file,) = find_files([path], context)[:1]
    found: Decoded = context.apart(decode, decoder, file)
    if found.pixels is None:
        raise UserError(f"{one_line(file.name)}: {found.error}")
    return found


def target_of(file: File, taken: set[str]) -> str:
    """Return a safe and new name for the result of a file, with its extension, and add it to the names taken."""
    stem, suffix = os.path.splitext(os.path.basename(file.name))
    stem, suffix = file_name(stem or "image"), suffix.lower()
    name, count = stem + suffix, 1
    while name.lower() in taken:
        count += 1
        name = f"{stem}-{count}{suffix}"
    taken.add(name.lower())
    return name
