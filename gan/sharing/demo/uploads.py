"""Read what visitors upload: images and zip archives, within limits that are checked before anything is decoded."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from gan.common.errors import UserError
from gan.common.files import file_name
from gan.common.output import one_line
from gan.data.sources.files import SUFFIXES, Decoded, File, decode
from gan.inference.inputs import decoder_of
from gan.sharing.demo import limits
from gan.sharing.demo.context import Context
from gan.sharing.demo.upload_list import list_files

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


def target_of(file: File, taken: set[str], suffix: str | None = None) -> str:
    """Return a safe and new name for the result of a file, and add it to the names taken.

    Args:
        suffix: its extension; None keeps that of the file.
    """
    stem, own = os.path.splitext(os.path.basename(file.name))
    stem, suffix = file_name(stem or "image"), suffix or own.lower()
    name, count = stem + suffix, 1
    while name.lower() in taken:
        count += 1
        name = f"{stem}-{count}{suffix}"
    taken.add(name.lower())
    return name
