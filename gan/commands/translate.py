"""Translate an image, a video, or a folder of both: with a trained translator, or with a look, such as look:film.

Outputs have the names, sizes and formats of the inputs. Existing outputs are skipped, so you can rerun an interrupted
command. Files that cannot be read or do not fit into memory are listed at the end, and the exit code is 3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gan.commands import options
from gan.commands.options import SOME_UNREADABLE
from gan.common.errors import UserError, at_least, reason
from gan.common.memory import available
from gan.common.progress import counting
from gan.common.size import pair

if TYPE_CHECKING:
    import numpy as np

    from gan.inference.image_function import ImageFunction

MAX_SCALE = 4  # print a note if images are larger than the training size by more than this factor
MAX_LINES = 20  # maximum number of failed files to list
OUT = "translated"  # in the run folder
MIN_TILE = 64  # minimum of --tile in pixels
LOOK = "look:"  # precedes the name of a look
FOR_RUNS = ("direction", "tile", "ema", "checkpoint", "device", "threads", "code")  # options for trained translators


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=existing_translator, metavar="TRANSLATOR", help="look:NAME for a look without a "
                        f"network (--list-looks shows all); or a trained translator: {options.MODEL}")  # fmt: skip
    parser.add_argument(
        "input", type=options.existing_path, metavar="INPUT", help="image, video, or folder of images and videos"
    )
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="folder for files with the same names, created if "
                        "missing; or, for a single image, a file whose extension selects the format (default for a "
                        f"run: RUN/{OUT})")  # fmt: skip
    parser.add_argument("--list-looks", action=ListLooks, nargs=0, help="print the looks with their parameters")
    parser.add_argument("--set", nargs="+", default=[], dest="settings", metavar="NAME=VALUE", help="parameters of a "
                        "look, as in --set vignette=0.3 grain=0.1")  # fmt: skip
    parser.add_argument("--seed", type=int, help="seed of the grain and noise of a look (default: 0)")
    parser.add_argument("--direction", choices=("a2b", "b2a"), default="a2b", help="b2a translates from the target "
                        "style to photographs, with model=cyclegan only (default: %(default)s)")  # fmt: skip
    parser.add_argument("--strength", type=float, default=1.0, help="blend input and translation: 0 is the input, 1 "
                        "the translation (default: %(default)s)")  # fmt: skip
    parser.add_argument("--cell", type=options.parse_cell, default=1, metavar="PIXELS", help="pixel art: side of a "
                        "cell, which has one color; or auto for inputs that are enlarged pixel art, which keep their "
                        "cells (default: %(default)s)")  # fmt: skip
    options.add_palette(parser, "target images")
    parser.add_argument("--compare", type=Path, metavar="DIR", help="also save input and output side by side")
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="side of the tiles of large images; tiles join "
                        "without seams (default: as large as memory allows)")  # fmt: skip
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse images with more pixels: width x height, "
                        "summed over the frames of an animation (default: 64 million, or fewer if memory is "
                        "short)")  # fmt: skip
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)
    parser.set_defaults(for_runs={name: parser.get_default(name) for name in FOR_RUNS})


def run(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.strength <= 1:
        raise UserError(f"--strength {arguments.strength}: give 0 to 1")
    if arguments.palette and arguments.strength < 1:
        raise UserError("--palette and --strength: blending changes the colors; give one of them")
    if arguments.tile is not None and arguments.tile < MIN_TILE:
        raise UserError(f"--tile {arguments.tile}: give at least {MIN_TILE} pixels")
    options.check_dither(arguments)
    if arguments.max_pixels is not None:
        at_least("--max-pixels", arguments.max_pixels, 1)

    from gan.inference import translate_files as files

    if arguments.output is None:
        arguments.output = str(output_of(arguments.run))
    chosen = choose_look(arguments) if arguments.run.startswith(LOOK) else None
    found = files.plan(arguments.input, arguments.output)
    if arguments.compare:
        files.refuse_inside(arguments.compare, arguments.input, "--compare ")
    todo = [each for each in found if arguments.force or not files.is_done(*each, arguments.compare)]
    if len(todo) < len(found):
        print(f"{len(found) - len(todo)} existing files are skipped; use --force to overwrite")
    if not todo:
        return 0

    from gan.data.decoding.pool import IsolatedProcess
    from gan.inference.image_translator import ImageTranslator
    from gan.sharing.translations import translations

    chosen = chosen or choose_network(arguments)
    palette = load_palette(arguments.palette, chosen) if arguments.palette else None
    pixel_art = pixel_art_of(arguments.cell, palette, arguments.dither)
    fields = arguments.strength, arguments.cell, arguments.direction, palette, arguments.dither
    describe = None if arguments.no_metadata else translations(chosen.made_by, *fields)
    translator = ImageTranslator(
        chosen.function, arguments.strength, pixel_art, arguments.palette is not None, arguments.seed or 0
    )
    limit = arguments.max_pixels or files.max_pixels(
        available(), pixel_art is not None, chosen.function.bytes_per_pixel
    )
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
    if chosen.trained is not None and side > MAX_SCALE * chosen.trained:
        print(f"note: an image has a side of {side} pixels, but training images were downsampled to {chosen.trained}, "
              "so grain, dots and strokes will have the wrong size; train with data.fit=patches")  # fmt: skip
    for line in failed[:MAX_LINES]:
        print(line, file=sys.stderr)
    if failed:
        print(f"{len(failed)} of {len(todo)} files could not be translated", file=sys.stderr)
    return SOME_UNREADABLE if failed else 0


class ListLooks(argparse.Action):
    """Prints the looks. Their registry is imported only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from gan.data.styles.listing import listing

        print(listing())
        parser.exit()


class Chosen(NamedTuple):
    """What TRANSLATOR names.

    Attributes:
        function: the function of images.
        made_by: the fields of a record that name it.
        trained: the side to which training images were scaled; None if they were not, or there were none.
        target_palette: computes a palette of a number of colors from target images; None if there are none.
    """

    function: ImageFunction
    made_by: dict[str, Any]
    trained: int | None = None
    target_palette: Callable[[int], np.ndarray] | None = None


def existing_translator(text: str) -> str:
    """Return TRANSLATOR; raise UserError if there is no such run, checkpoint or look."""
    if not text.startswith(LOOK):
        try:
            return options.existing_run(text)
        except UserError as error:
            from gan.data.styles.registry import STYLES

            if text not in STYLES:
                raise
            hint = f"for the look, write {LOOK}{text}"
            raise UserError(f"{text}: no such run folder or checkpoint; {hint}") from error

    from gan.inference.look import parse_look

    parse_look(text)
    return text


def output_of(run: str) -> Path:
    """Return the default of OUTPUT."""
    if run.startswith(LOOK):
        raise UserError(f"{run}: give OUTPUT, a folder or a file, because there is no run folder to write into")
    return options.out_in_run(run, None, OUT)


def choose_look(arguments: argparse.Namespace) -> Chosen:
    """Return the look of TRANSLATOR with the parameters of --set."""
    from gan.data.styles.settings import parse_settings
    from gan.inference.look import parse_look

    for name, default in arguments.for_runs.items():
        if getattr(arguments, name) != default:
            raise UserError(f"--{name.replace('_', '-')}: needs a trained translator; {arguments.run} is a look")
    if arguments.seed is not None:
        at_least("--seed", arguments.seed, 0)
    look = parse_look(arguments.run, parse_settings(arguments.settings))
    return Chosen(look, {"look": look.filters, "seed": arguments.seed or None})


def choose_network(arguments: argparse.Namespace) -> Chosen:
    """Return the trained translator of TRANSLATOR, on the selected device."""
    if arguments.settings or arguments.seed is not None:
        given = "--set" if arguments.settings else "--seed"
        raise UserError(f"{given}: needs a look, such as look:film; {arguments.run} is a trained translator")

    from gan.inference.loading import load_generator, select_direction
    from gan.inference.network_function import NetworkFunction
    from gan.inference.resolve import checkpoint_of
    from gan.inference.target_palette import target_palette
    from gan.inference.tiling import tile_for_memory
    from gan.sharing.provenance import fields_of

    path = checkpoint_of(arguments.run, arguments.checkpoint)
    network, state = load_generator(path, arguments.ema)
    network, config = select_direction(path, network, arguments.direction), state["config"]
    network.to(options.prepare_device(arguments))
    return Chosen(
        NetworkFunction(network, config["data"]["channels"], arguments.tile or tile_for_memory(network)),
        fields_of(network, int(state["images"])),
        None if config["data"].get("fit") == "patches" else max(pair(config["data"]["size"])),
        partial(target_palette, config, Path(arguments.run), arguments.direction),
    )


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
