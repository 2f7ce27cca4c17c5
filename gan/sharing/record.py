"""The record of where an image comes from: a small JSON text in the image file. No torch.

It names the model by a digest of its weights, and the options that change pixels. It has no paths, no file names and
no names of users. Options that change nothing are left out, so that the same image always has the same record.

A record is read from files of strangers: every value is checked against FIELDS before anything uses it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from gan import settings
from gan.common.errors import UserError
from gan.common.untrusted import parse_json
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import FORMATS, MAX_PIXELS, header
from gan.images import files

FORMAT = 1  # version of the record; increased whenever older programs would make another image from it
KINDS = ("image", "grid", "interpolation", "translation", "comparison", "projection", "optimization")
MAX_IMAGES = 100_000  # seeds of a grid
MAX_NAME = 1000  # characters, as of a class in a checkpoint
MAX_LIST = 1000  # changes of an edit
MAX_FRAMES = 10_000
MAX_SIDE = 1 << 16
MAX_COLORS = 256

Record = dict[str, Any]


def make(**fields: Any) -> Record:
    """Return a record of the fields that say something: None, empty values and False are left out."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), [], {}) and value is not False}


def to_text(record: Record) -> str:
    """Return a record as canonical JSON in ASCII."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def origin(path: str | os.PathLike[str]) -> Record | None:
    """Return where an image comes from, as `gan generate` and other commands write it into their files.

    The keys include `software`, `model` (a digest of the weights), `images` (seen in training), `kind`, and the seed,
    class and options that change pixels. The values are checked, but anyone can write such a text into a file.

    Returns:
        None if the image has no such metadata.

    Raises:
        UserError: the file is no image that can be read, or its metadata has another format or impossible values.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    try:
        header(file, MAX_PIXELS)  # checks size and number of frames
        with Image.open(file, formats=FORMATS) as image:
            text = files.read_text(image)
    except ImageError as error:
        raise UserError(f"{file}: {error}") from error
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise UserError(f"{file}: cannot be read ({type(error).__name__})") from error
    return None if text is None else parse(text, str(file))


def parse(text: str, where: str) -> Record:
    """Return the record in a text.

    Raises:
        UserError: it has another format, or a value that this program does not write.
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where}: its retro-gan metadata is damaged") from error
    version = found.get("format") if isinstance(found, dict) else None
    if not is_integer(version, 1, 1000):
        raise UserError(f"{where}: its retro-gan metadata is damaged (it has no format version)")
    if version != FORMAT:
        raise UserError(f"{where}: its metadata has format {version}, but this version reads format {FORMAT}; install "
                        "the version of retro-gan that wrote it")  # fmt: skip
    for name, value in found.items():
        if name not in FIELDS or not FIELDS[name](value):
            raise UserError(f"{where}: its retro-gan metadata has an impossible value of {name[:40]!r}")
    made_by = next((names for names in MADE_BY if names[0] in found), MADE_BY[0])
    if missing := [name for name in (*REQUIRED, *made_by) if name not in found]:
        raise UserError(f"{where}: its retro-gan metadata lacks {missing[0]}")
    record: Record = found
    return record


def compact(seeds: Iterable[int]) -> list[Any]:
    """Return seeds with ranges of at least three as pairs: [0, 1, 2, 3, 9] -> [[0, 3], 9]."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    found: list[Any] = []
    for first, last in ranges:
        found += [[first, last]] if last - first > 1 else range(first, last + 1)
    return found


# ---- checks of values


def is_integer(value: Any, least: int = 0, most: int = settings.MAX_SEED) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{32}", value) is not None


def is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME


def is_list(check: Callable[[Any], bool], value: Any, most: int = MAX_LIST) -> bool:
    return isinstance(value, list) and 0 < len(value) <= most and all(map(check, value))


def is_seeds(value: Any) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_IMAGES:
        return False
    count = 0
    for each in value:
        pair = each if isinstance(each, list) else [each, each]
        if len(pair) != 2 or not all(map(is_integer, pair)) or pair[0] > pair[1]:
            return False
        count += pair[1] - pair[0] + 1
    return count <= MAX_IMAGES


def is_setting(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and is_name(value[0]) and is_number(value[1])


def is_mix(value: Any) -> bool:
    """Return whether a value is {"seed", "layers": [first, last] or "fraction", "class" (optional)}."""
    if not isinstance(value, dict) or not is_integer(value.get("seed")):
        return False
    layers, fraction = value.get("layers"), value.get("fraction")
    by_layers = isinstance(layers, list) and len(layers) == 2 and all(is_integer(each, 0, 1000) for each in layers)
    one = (by_layers and fraction is None) or (layers is None and is_number(fraction))
    return one and is_name(value.get("class", "any")) and value.keys() <= {"seed", "layers", "fraction", "class"}


def is_filter(value: Any) -> bool:
    """Return whether a value is a filter with its parameters, as in "halftone:cell=6", or the digest of a table."""
    form = r"table:[0-9a-f]{32}|\w{1,60}(:\w{1,60}=-?[0-9.e+-]{1,30}){0,30}"
    return isinstance(value, str) and re.fullmatch(form, value, re.ASCII) is not None


def one_of(*values: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def between(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: is_integer(value, least, most)


REQUIRED = ("software", "kind")
MADE_BY = (("model", "images"), ("look",), ("closed_form",))  # fields that name what made an image: all of one of these
FIELDS: dict[str, Callable[[Any], bool]] = {
    "format": lambda value: value == FORMAT,
    "software": lambda value: isinstance(value, str) and bool(re.fullmatch(r"retro-gan( [\w.+!-]{1,60})?", value)),
    "kind": one_of(*KINDS),
    "model": is_digest,  # of the weights that make the images
    "images": is_integer,  # seen in training
    "device": one_of("cuda", "mps"),  # left out for the CPU; other devices round differently
    "pixels": is_digest,  # of the image as written; for one image in a lossless format
    # images of a generator
    "seed": settings.SEED.allows,
    "seeds": is_seeds,
    "class": is_name,
    "truncation": settings.TRUNCATION.allows,
    "latent": is_digest,  # in place of a seed
    "latents": lambda value: is_list(is_digest, value, MAX_IMAGES),
    "mix": lambda value: is_list(is_mix, value),
    "settings": lambda value: is_list(is_setting, value),  # pairs, because their order counts
    "directions": is_digest,  # of the directions among the settings
    "recognition": is_digest,  # of the classifier whose classes are among the settings
    "size": lambda value: is_list(between(1, MAX_SIDE), value, 2) and len(value) == 2,  # height, width
    # animations
    "frames": between(1, MAX_FRAMES),
    "fps": is_number,
    "loop": lambda value: value is True,
    "scale": between(1, MAX_SIDE),
    "space": one_of("z", "w", "w+"),
    # translations
    "original": is_digest,  # of the bytes of the original file
    "look": lambda value: is_list(is_filter, value, 100),  # filters without a network; then `seed` is their seed
    "closed_form": is_digest,  # of a color map fitted to two folders
    "direction": settings.DIRECTION.allows,
    "steady": lambda value: value is True,
    "strength": settings.STRENGTH.allows,
    "cell": settings.CELL.allows,
    "dither": settings.DITHER.allows,
    "palette": lambda value: isinstance(value, str) and bool(re.fullmatch(f"([0-9a-f]{{6}}){{1,{MAX_COLORS}}}", value)),
    "tile": settings.TILE.allows,
    "saved_as": one_of(*FORMATS),  # the format of the translation in a comparison
    # projections
    "target": is_digest,  # of the pixels that were projected
    "starts": between(1, settings.MAX_SEED),
    "steps": between(1, settings.MAX_SEED),
}
