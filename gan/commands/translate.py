"""Translate an image, a video, or a folder of both: with a trained translator, or a look, such as look:film.

`gan translate --fit PHOTOGRAPHS RETRO INPUT OUTPUT` needs no training: it fits a color map to two folders in seconds.

Outputs have the names, sizes and formats of the inputs. Existing outputs are skipped, so you can rerun an interrupted
command. Files that cannot be read or do not fit into memory are listed at the end, and the exit code is 3.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gan import settings
from gan.commands import options, translators
from gan.common.errors import UserError, at_least
from gan.common.memory import available
from gan.common.progress import counting

if TYPE_CHECKING:
    import numpy as np

    from gan.commands.translators import Chosen

MAX_SCALE = 4  # print a note if images are larger than the training size by more than this factor
OUT = "translated"  # in the run folder
FORMATS = ("png", "webp", "jpg", "tif", "gif")  # of --format
FITTED = "fit:"  # stands for TRANSLATOR with --fit
FOR_RUNS = ("direction", "tile", "ema", "checkpoint", "device", "threads", "code")  # options for trained translators


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="TRANSLATOR", help="look:NAME for a look without a "
                        "network (--list-looks shows all); FILE.cube, or a HaldCLUT FILE.png, for a color table; or a "
                        f"trained translator: {options.MODEL}; none with --fit")  # fmt: skip
    parser.add_argument("input", metavar="INPUT", help="image, video, or folder of images and videos")
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="folder for files with the same names, created if "
                        "missing; or, for a single image, a file whose extension selects the format (default for a "
                        f"run: RUN/{OUT})")  # fmt: skip
    translators.add_fit(parser, "TRANSLATOR")
    parser.add_argument("--list-looks", action=ListLooks, nargs=0, help="print the looks with their parameters")
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="settings", metavar="NAME=VALUE",
                        help="parameters of a look, as in --set vignette=0.3 grain=0.1")  # fmt: skip
    settings.SEED.add_to(parser, default=None)  # None: not given
    parser.add_argument("--steady", action="store_true", help="videos and animations: reduce flicker; all frames have "
                        "the same grain and noise, and statistics of the whole image are means over about a "
                        "second")  # fmt: skip
    settings.DIRECTION.add_to(parser)
    settings.STRENGTH.add_to(parser)
    settings.CELL.add_to(parser)
    settings.add_palette(parser, "target images")
    parser.add_argument("--format", choices=FORMATS, help="format of translated images (default: that of the input, or "
                        "of the extension of OUTPUT)")  # fmt: skip
    parser.add_argument("--compare", type=Path, metavar="DIR", help="also save input and output side by side")
    settings.TILE.add_to(parser)
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse images with more pixels: width x height, "
                        "summed over the frames of an animation (default: 64 million, or fewer if memory is "
                        "short)")  # fmt: skip
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)
    parser.set_defaults(for_runs={name: parser.get_default(name) for name in FOR_RUNS})


def prepare(arguments: argparse.Namespace) -> None:
    """Check the paths of the arguments. With --fit there is no TRANSLATOR, so that INPUT is the first argument."""
    if arguments.fit:
        if arguments.output is not None:
            raise UserError(f"gan translate --fit {' '.join(arguments.fit)}: give INPUT and OUTPUT, and no TRANSLATOR")
        if arguments.run is None:
            raise UserError(f"gan translate --fit {' '.join(arguments.fit)} {arguments.input}: give OUTPUT, a folder "
                            "or a file, because there is no run folder to write into")  # fmt: skip
        arguments.run, arguments.input, arguments.output = FITTED, arguments.run, arguments.input
        translators.check_fit(arguments)
    elif arguments.run is None:
        raise UserError(f"gan translate {arguments.input}: give TRANSLATOR and INPUT; gan translate --help shows the "
                        "arguments")  # fmt: skip
    else:
        translators.check_fit(arguments)
        options.existing_run_or_look(arguments.run)
    arguments.input = options.existing_path(arguments.input)


def run(arguments: argparse.Namespace) -> int:
    settings.check_pixel_art(arguments.palette, arguments.dither, arguments.strength)
    if arguments.max_pixels is not None:
        at_least("--max-pixels", arguments.max_pixels, 1)

    from gan.inference import translate_files as files

    if arguments.output is None:
        arguments.output = str(output_of(arguments.run))
    # A look is checked before the input is searched; a network is loaded after that, because it takes longer.
    chosen = translators.choose(arguments) if options.names_look(arguments.run) else None
    suffix = f".{arguments.format}" if arguments.format else None
    found = files.plan(arguments.input, arguments.output, arguments.run, arguments.compare, suffix)
    todo = [each for each in found if arguments.force or not files.is_done(*each, arguments.compare)]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} existing files are skipped; use --force to overwrite")
    if not todo:
        return 0

    from gan.data.decoding.pool import IsolatedProcess
    from gan.inference.image_translator import ImageTranslator
    from gan.sharing.translations import translations

    chosen = chosen or translators.choose(arguments)
    palette = load_palette(arguments.palette, chosen) if arguments.palette else None
    pixel_art = pixel_art_of(arguments.cell, palette, arguments.dither)
    fields = arguments.strength, arguments.cell, arguments.direction, palette, arguments.dither
    describe = None if arguments.no_metadata else translations(chosen.made_by, *fields, arguments.steady)
    seed, steady = arguments.seed or 0, arguments.steady
    exact = arguments.palette is not None
    translator = ImageTranslator(chosen.function, arguments.strength, pixel_art, exact, seed, steady)
    limit = arguments.max_pixels or files.max_pixels(
        available(), pixel_art is not None, chosen.function.bytes_per_pixel
    )
    if pixel_art and any(files.format_of(target) == "JPEG" for _, target in todo):
        print("note: JPEG changes cells and colors; add --format png")
    given = arguments.input.is_file(), arguments.compare, limit, arguments.force
    try:
        with counting(f"translating into {arguments.output}", len(todo)) as advance, IsolatedProcess() as apart:
            failed, side = files.translate_files(todo, translator, *given, advance, apart, describe)
    except OSError as error:
        raise options.rerun_later(error, arguments.output) from error
    if chosen.trained is not None and side > MAX_SCALE * chosen.trained:
        print(f"note: an image has a side of {side} pixels, but training images were downsampled to {chosen.trained}, "
              "so grain, dots and strokes will have the wrong size; train with data.fit=patches")  # fmt: skip
    return options.report_failed(failed, len(todo), "translated")


def output_of(run: str) -> Path:
    """Return the default of OUTPUT."""
    if options.names_look(run):
        raise UserError(f"{run}: give OUTPUT, a folder or a file, because there is no run folder to write into")
    return options.out_in_run(run, None, OUT)


class ListLooks(argparse.Action):
    """Prints the looks. Their registry is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from gan.data.styles.listing import listing

        print(listing())
        parser.exit()


def pixel_art_of(cell: int | str, palette: np.ndarray | None, dither: str) -> Callable[..., np.ndarray] | None:
    """Return the conversion to pixel art; None, without its imports, if nothing is converted."""
    if cell == 1 and palette is None:
        return None

    from gan.images.pixel_art import converter

    return converter(cell, palette, dither)


def load_palette(given: str, chosen: Chosen) -> np.ndarray:
    """Return the palette of --palette: by its name, read from a file, or computed from target images."""
    from gan.images.pixel_art import read_palette

    if not given.isdecimal():
        return read_palette(given)
    if chosen.target_palette is None:
        raise UserError(f"--palette {given}: a look has no target images; give a palette such as gameboy, or a file")
    return chosen.target_palette(int(given))
