"""gan data unscale: write enlarged pixel art at its own size."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan import settings
from gan.commands import options
from gan.commands.options import add_command
from gan.common.errors import UserError, at_least
from gan.common.memory import available
from gan.common.progress import counting
from gan.common.table import counted

if TYPE_CHECKING:
    import numpy as np

MAX_FACTORS = 20  # maximum number of enlargements to list
PALETTE_IMAGES = 200  # images for computing a palette
MAX_CELL = 1024  # pixels


def add_unscale(parts: Any) -> None:
    parser = add_command(parts, "unscale", "write enlarged pixel art at its own size, also if it was blurred or saved "
                         "as JPEG")  # fmt: skip
    parser.add_argument("input", type=options.existing_path, metavar="INPUT", help="image, or folder of images")
    parser.add_argument("output", metavar="OUTPUT", help="folder for PNG files with the same names, created if "
                        "missing; or, for a single image, a PNG file")  # fmt: skip
    parser.add_argument("--cell", type=float, metavar="PIXELS", help="side of the enlarged pixels, as in 4 or 3.5 "
                        "(default: found in each image)")  # fmt: skip
    settings.add_palette(parser, "the images")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse images with more pixels: width x height, "
                        "summed over the frames of an animation (default: 64 million, or fewer if memory is "
                        "short)")  # fmt: skip
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    settings.check_pixel_art(arguments.palette, arguments.dither)
    if arguments.cell is not None and not 2 <= arguments.cell <= MAX_CELL:
        raise UserError(f"--cell {arguments.cell:g}: give 2 to {MAX_CELL} pixels")
    if arguments.max_pixels is not None:
        at_least("--max-pixels", arguments.max_pixels, 1)

    from gan.data.decoding.pool import cores, parallel_map
    from gan.images.unscale import Unscaled, Unscaler
    from gan.inference.translate_files import max_pixels

    found = plan(arguments.input, arguments.output)
    todo = [each for each in found if arguments.force or not each[1].exists()]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} existing files are skipped; use --force to overwrite")
    if not todo:
        return 0
    limit = arguments.max_pixels or max_pixels(available() // cores(), True)
    unscaler = Unscaler(arguments.cell, max_pixels=limit)
    if arguments.palette:
        palette = load_palette(arguments.palette, unscaler, [file for file, _ in found])
        unscaler = Unscaler(arguments.cell, palette, arguments.dither, limit)
    results: list[Unscaled] = []
    crashed = Unscaled("the process crashed, took too long or ran out of memory on it")
    try:
        with counting(f"writing into {arguments.output}", len(todo)) as advance:
            for part in parallel_map(unscaler, todo, lambda task: crashed):
                results += part
                advance(len(part))
    except OSError as error:
        raise options.rerun_later(error, arguments.output) from error
    print(summary(results))
    failed = [f"{file.shown}: {one.error}" for (file, _), one in zip(todo, results, strict=True) if one.error]
    return options.report_failed(failed, len(todo), "read")


def plan(source: Path, output: str) -> list[tuple[Any, Path]]:
    """Return the image files of a path and the PNG file to write for each; raise UserError as for translations.

    If two names differ in the extension only, ".png" is appended to the one that is not a PNG.
    """
    from gan.inference import translate_files

    found = [
        (file, path) for file, path in translate_files.plan(source, output) if not translate_files.is_video(path.name)
    ]
    if not found:
        raise UserError(f"{source}: contains no images; videos are not supported")
    if source.is_file() and found[0][1].suffix.lower() != ".png" and found[0][1].name != source.name:
        raise UserError(f"{found[0][1]}: results are PNG files; use the extension .png")
    taken = Counter(path.with_suffix(".png") for _, path in found)
    planned = []
    for file, path in found:
        png = path.with_suffix(".png")
        planned.append((file, png if taken[png] == 1 or path == png else path.with_name(f"{path.name}.png")))
    read = {os.path.realpath(file.path) for file, _ in planned}
    for _, path in planned:
        if os.path.realpath(path) in read:
            raise UserError(f"{path}: is both input and output; give another output")
    return planned


def load_palette(given: str, unscaler: Any, files: Sequence[Any]) -> np.ndarray:
    """Return the palette of --palette: by its name, read from a file, or computed from the images at their own size."""
    import numpy as np

    from gan.data.decoding.pool import parallel_map
    from gan.images.pixel_art import check_colors, fit_colors, read_palette

    if not given.isdecimal():
        return read_palette(given)
    check_colors(int(given))
    chosen = [files[int(place)] for place in np.linspace(0, len(files) - 1, min(PALETTE_IMAGES, len(files)))]
    parts = parallel_map(unscaler.colors, chosen, lambda file: np.empty((0, 3), np.uint8))
    pixels = np.concatenate([each for part in parts for each in part])
    if not len(pixels):
        raise UserError(f"--palette {given}: no image has opaque pixels")
    return fit_colors(pixels, int(given))


def summary(results: Sequence[Any]) -> str:
    """Return a line such as "200 images restored (4x: 180, 3x: 20); 5 images without a grid are written unscaled"."""
    factors = Counter(one.factor for one in results if one.factor)
    rest = sum(not one.error and not one.factor for one in results)
    lines = []
    if factors:
        listed = ", ".join(f"{name}: {count:,}" for name, count in factors.most_common(MAX_FACTORS))
        lines.append(f"{counted(factors.total(), 'image')} restored ({listed})")
    if rest:
        lines.append(f"{counted(rest, 'image')} without a grid written at the same size")
    return "; ".join(lines) or "no image restored"
