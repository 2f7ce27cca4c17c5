"""Translate an image, a video, or a folder of both into the target style of a trained translator.

Outputs have the names, sizes and formats of the inputs. Existing outputs are skipped, so you can rerun an interrupted
command. Files that cannot be read or do not fit into memory are listed at the end, and the exit code is 3.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.commands.options import SOME_UNREADABLE
from gan.common.errors import UserError, at_least, reason
from gan.common.memory import available
from gan.common.progress import counting
from gan.common.size import pair

if TYPE_CHECKING:
    import numpy as np

MAX_SCALE = 4  # print a note if images are larger than the training size by more than this factor
MAX_LINES = 20  # maximum number of failed files to list
OUT = "translated"  # in the run folder
MIN_TILE = 64  # minimum of --tile in pixels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser, f"translator: {options.MODEL}")
    parser.add_argument(
        "input", type=options.existing_path, metavar="INPUT", help="image, video, or folder of images and videos"
    )
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="folder for files with the same names, created if "
                        "missing; or, for a single image, a file whose extension selects the format (default: "
                        f"RUN/{OUT})")  # fmt: skip
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b", help="b2a translates from the target "
                        "style to photographs, with model=cyclegan only (default: %(default)s)")  # fmt: skip
    parser.add_argument("--strength", type=float, default=1.0, help="blend input and translation: 0 is the input, 1 "
                        "the translation (default: %(default)s)")  # fmt: skip
    parser.add_argument("--cell", type=int, default=1, metavar="PIXELS", help="pixel art: side of a cell, which has "
                        "one color (default: %(default)s)")  # fmt: skip
    parser.add_argument("--palette", metavar="COLORS", help="pixel art: number of colors to compute from target "
                        "images; or an image or text file with the colors")  # fmt: skip
    parser.add_argument("--compare", type=Path, metavar="DIR", help="also save input and output side by side")
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="side of the tiles of large images; tiles join "
                        "without seams (default: as large as memory allows)")  # fmt: skip
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse images with more pixels: width x height, "
                        "summed over the frames of an animation (default: 64 million, or fewer if memory is "
                        "short)")  # fmt: skip
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.strength <= 1:
        raise UserError(f"--strength {arguments.strength}: give 0 to 1")
    if arguments.palette and arguments.strength < 1:
        raise UserError("--palette and --strength: blending changes the colors; give one of them")
    if arguments.tile is not None and arguments.tile < MIN_TILE:
        raise UserError(f"--tile {arguments.tile}: give at least {MIN_TILE} pixels")
    at_least("--cell", arguments.cell, 1)
    if arguments.max_pixels is not None:
        at_least("--max-pixels", arguments.max_pixels, 1)

    from gan.inference import translate_files as files

    if arguments.output is None:
        arguments.output = str(options.out_in_run(arguments.run, None, OUT))
    found = files.plan(arguments.input, arguments.output)
    if arguments.compare:
        files.refuse_inside(arguments.compare, arguments.input, "--compare ")
    todo = [each for each in found if arguments.force or not files.is_done(*each, arguments.compare)]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} existing files are skipped; use --force to overwrite")
    if not todo:
        return 0

    from gan.data.decoding.pool import IsolatedProcess
    from gan.images.pixel_art import converter
    from gan.inference.image_translator import ImageTranslator
    from gan.inference.loading import load_generator, select_direction
    from gan.inference.resolve import checkpoint_of
    from gan.inference.tiling import tile_for_memory
    from gan.sharing.provenance import translations

    path = checkpoint_of(arguments.run, arguments.checkpoint)
    network, state = load_generator(path, arguments.ema)
    network, config = select_direction(path, network, arguments.direction), state["config"]
    network.to(options.prepare_device(arguments))
    palette = load_palette(arguments, config) if arguments.palette else None
    pixel_art = converter(arguments.cell, palette)
    fields = arguments.strength, arguments.cell, arguments.direction, palette
    describe = None if arguments.no_metadata else translations(network, int(state["images"]), *fields)
    tile, exact = arguments.tile or tile_for_memory(network), arguments.palette is not None
    translator = ImageTranslator(network, config["data"]["channels"], tile, arguments.strength, pixel_art, exact)
    limit = arguments.max_pixels or files.max_pixels(available(), pixel_art is not None)
    if pixel_art and any(files.format_of(target) == "JPEG" for _, target in todo):
        print("note: JPEG changes cells and colors; use the extension .png")
    given = arguments.input.is_file(), arguments.compare, limit, arguments.force
    try:
        with counting(f"translating into {arguments.output}", len(todo)) as advance, IsolatedProcess() as apart:
            failed, side = files.translate_files(todo, translator, *given, advance, apart, describe)
    except OSError as error:
        raise UserError(
            f"{error.filename or arguments.output}: cannot be written ({reason(error)}); files already written are "
            "complete, rerun the command to continue"
        ) from error
    trained = max(pair(config["data"]["size"]))
    if side > MAX_SCALE * trained and config["data"].get("fit") != "patches":
        print(f"note: an image has a side of {side} pixels, but training images were downsampled to {trained}, so "
              "grain, dots and strokes will have the wrong size; train with data.fit=patches")  # fmt: skip
    for line in failed[:MAX_LINES]:
        print(line, file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(todo)} files could not be translated", file=sys.stderr)
    return SOME_UNREADABLE if failed else 0


def load_palette(arguments: argparse.Namespace, config: dict[str, Any]) -> np.ndarray:
    """Return the palette of --palette: read from a file, or computed from target images."""
    from gan.images.pixel_art import read_palette
    from gan.inference.target_palette import target_palette

    given = arguments.palette
    if not given.isdecimal():
        return read_palette(given)
    return target_palette(config, Path(arguments.run), arguments.direction, int(given))
