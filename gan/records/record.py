"""The record of where an image comes from: a small JSON text in the image file, and the command that it stands for.

It names the model by a digest of its weights, and the options that change pixels. It has no paths, no file names and
no names of users. Fields that say nothing are left out, so that the same image always has the same record. No torch,
because a look needs none.

format, software, kind         version; name and version of this program; image, grid, interpolation or translation
model, images, device          digest of the weights, images seen in training, cuda or mps; or
look, closed_form              the filters of a look, or the digest of a color map fitted to two folders
pixels                         digest of the image as written, in a lossless format
seed, seeds, latent, latents   of one image or several: seeds, with ranges as pairs, or digests of latents; of a look,
                               `seed` is that of its noise
class, truncation, size        class by name, height and width
seamless, tiled                axes along which images wrap around; repetitions of the image
enlarge                        of `gan generate`: digest of the weights that enlarged the image
settings, mix                  of `gan edit`: [name, value] in their order; {seed, class, layers or fraction}
directions, recognition        digests of the directions and of the classifier that the settings use
frames, fps, loop, scale, space                         of interpolations
original, tile                                          digest of the original file; side of the tiles
direction, strength, cell, palette, dither, steady      of translations; palette as hexadecimal digits
map, position                  of `gan translate --fit`, if they were chosen
autocontrast                                            with a palette; older versions had none, which is off
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from PIL import Image

from gan.data.decoding.reader import MAX_PIXELS, ImageError, header, readable
from gan.images import files
from gan.images.files import pixel_digest
from gan.runs.run_folder import version_of
from gan.utils.errors import UserError
from gan.utils.output import one_line
from gan.utils.untrusted import find_fault, parse_json

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1  # version of the record; increased whenever older programs would make another image from it
NEEDED: dict[str, type] = {"format": int, "software": str, "kind": str}
NEEDED_OF_MODEL: dict[str, type] = {"model": str, "images": int}
COMMANDS = {"interpolation": "interpolate", "translation": "translate"}
# Fields that are no options, or that become options in another way. Every other field has the name and the value of its
# option, so that the command has a new option, too.
NO_OPTIONS = {"format", "software", "kind", "model", "images", "look", "closed_form", "pixels", "seed", "seeds",
              "latent", "latents", "size", "settings", "mix", "directions", "recognition", "original", "enlarge",
              "palette"}  # fmt: skip
# Values that say nothing, as those of an image that no option has changed.
DEFAULTS: dict[str, Any] = {"truncation": 1, "tiled": 1, "scale": 1, "strength": 1, "cell": 1, "direction": "a2b",
                            "dither": "none", "device": "cpu"}  # fmt: skip

Record = dict[str, Any]


# ---- write


@cache
def software() -> str:
    return " ".join(filter(None, ["retro-gan", version_of("retro-gan")]))


def make(**fields: Any) -> Record:
    """Return a record of the fields that differ from their defaults: None, empty values, False and DEFAULTS."""
    said = {name: value for name, value in fields.items() if value not in (None, "", (), [], {}) and value is not False}
    return {name: value for name, value in said.items() if value != DEFAULTS.get(name)}


def to_text(record: Record) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def compact(seeds: Iterable[int]) -> list[Any]:
    """Return seeds with ranges of at least three as pairs: [0, 1, 2, 3, 9] -> [[0, 3], 9]."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    compacted: list[Any] = []
    for first, last in ranges:
        compacted += [[first, last]] if last - first > 1 else range(first, last + 1)
    return compacted


class Records:
    """Writes the records of images with the same origin.

    Args:
        palette: uint8 (K, 3), of translations.
        fields: the other fields that all images share.
    """

    def __init__(self, palette: np.ndarray | None = None, **fields: Any) -> None:
        colors = None if palette is None else palette.tobytes().hex()
        self.fields = {"format": FORMAT, "software": software(), "palette": colors} | fields
        if not colors:
            self.fields.pop("autocontrast", None)

    def text(self, image: Image.Image | None = None, **fields: Any) -> str:
        """Return the record of an image as text; `image` is what is written, if the format is lossless."""
        return to_text(make(**(self.fields | fields), pixels=None if image is None else pixel_digest(image)))

    def translation(self, original: str, tile: int | None, image: Image.Image | None) -> str:
        """Return the record of a translation, as `gan.translation.translate_files` calls it."""
        return self.text(image, kind="translation", original=original, tile=tile)


# ---- read


def origin(path: str | os.PathLike[str]) -> Record | None:
    """Return where an image comes from, as `gan generate` and other commands write it into their files.

    The keys include `software`, `model` (a digest of the weights), `images` (seen in training), `kind`, and the seed,
    class and options that change pixels. Anyone can write such a text into a file.

    Returns:
        None if the image has no such metadata.

    Raises:
        UserError: the file is no image that can be read, or its metadata is damaged or has another format.
    """
    try:
        header(path, MAX_PIXELS)  # checks size and number of frames
        with Image.open(path, formats=readable()) as image:
            text = files.read_text(image)
    except Exception as error:  # damaged files make Pillow raise nearly anything
        reason = error if isinstance(error, ImageError) else f"cannot be read ({type(error).__name__})"
        raise UserError(f"{path}: {reason}") from error
    return None if text is None else parse(text, path)


def parse(text: str, where: object) -> Record:
    """Return the record in a text. Only the fields that name what made the image are checked."""
    try:
        record = parse_json(text)
    except ValueError:
        record = None
    plain = isinstance(record, dict) and not find_fault(record)
    needed = NEEDED | (NEEDED_OF_MODEL if plain and "model" in record else {})
    if not plain or not all(is_printable(record.get(name), kind) for name, kind in needed.items()):
        raise UserError(f"{where}: its retro-gan metadata is damaged")
    if record["format"] != FORMAT:
        raise UserError(f"{where}: its metadata has format {record['format']}, but this version reads format {FORMAT}; "
                        "install the version of retro-gan that wrote it")  # fmt: skip
    return dict(record)


def is_printable(value: object, kind: type) -> bool:
    return isinstance(value, kind) and one_line(value) == str(value)


# ---- the command


def command_of(record: Record) -> str:
    """Return the command that made the image of a record. RUN, INPUT and other words in capitals are to be replaced."""
    try:
        return " ".join(words_of(record))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError("the metadata of this image stands for no command; it is damaged") from error


def words_of(record: Record) -> list[str]:
    """Return the command, what it reads, then its options. A damaged record raises what `command_of` catches."""
    of_latents, mixes = bool(record.keys() & {"latent", "latents"}), record.get("mix", [])
    edited = of_latents or record.keys() & {"mix", "settings", "size"}
    command = COMMANDS.get(record["kind"], "edit" if edited else "generate")
    words = ["gan", command, *made_by(record), *(["INPUT", "OUTPUT"] if command == "translate" else [])]
    if "look" in record:
        words += option("seed", record.get("seed"))
    elif "seed" in record or "seeds" in record:
        words += ["--seeds", typed(",".join(map(range_of, record.get("seeds", [record.get("seed")]))))]
    elif of_latents:
        words += ["--latents", "LATENTS.safetensors"]
    words += option("set", *(f"{name}={value}" for name, value in record.get("settings", [])))
    words += option("mix", *(f"{mix['seed']}:{part_of(mix)}" for mix in mixes))
    words += option("size", "x".join(map(str, record.get("size", []))))
    words += ["--enlarge", "ENLARGER"] if "enlarge" in record else []
    words += ["--palette", "PALETTE"] if "palette" in record else []
    if "palette" in record and "autocontrast" not in record:  # of a version without the option
        words += ["--autocontrast", "off"]
    # Latents, and the seeds of a mix, have classes of their own.
    own_classes = of_latents or any(mix.get("class") != record.get("class") for mix in mixes)
    for name in sorted(record.keys() - NO_OPTIONS - ({"class"} if own_classes else set())):
        words += [f"--{typed(name)}"] if record[name] is True else option(typed(name), record[name])
    return [*words, "--grid"] if record["kind"] == "grid" else words


def made_by(record: Record) -> list[str]:
    """Return the words that stand for what made the image; none if it is an input with another palette or cell."""
    if "look" in record:
        return [typed("look:" + ",".join(record["look"]))]
    if "closed_form" in record:
        return ["--fit", "PHOTOGRAPHS", "RETRO"]
    return ["RUN"] if "model" in record or record["kind"] != "translation" else []


def part_of(mix: dict[str, Any]) -> Any:
    return mix["fraction"] if "fraction" in mix else range_of(mix["layers"])


def range_of(numbers: int | list[int]) -> str:
    """Return a number, or a pair of the first and the last one, as they are typed: 9 or 0-3."""
    return "-".join(map(str, numbers)) if isinstance(numbers, list) else str(numbers)


def option(name: str, *values: object) -> list[str]:
    """Return an option with its values; nothing if there is no value."""
    words = [typed(value) for value in values if value not in (None, "")]
    return [f"--{name}", *words] if words else []


def typed(value: object) -> str:
    """Return a value from a file as it is typed in a shell, without control characters."""
    text = str(value)
    if text.startswith("--"):
        raise ValueError("an option in place of a value")  # which a forged record could add to a command
    return shlex.quote("".join(one_line(text[first : first + 1000]) for first in range(0, len(text), 1000)))
