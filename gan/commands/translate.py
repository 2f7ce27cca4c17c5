"""Translate an image, a video, or a folder of both: with a trained translator, or a look, such as look:film.

`gan translate --fit PHOTOGRAPHS RETRO INPUT OUTPUT` needs no training: it fits a color map to two folders in seconds.

Outputs have the names, sizes and formats of the inputs. Existing outputs are skipped, so you can rerun an interrupted
command. Files that cannot be read or do not fit into memory are listed at the end, and the exit code is 3.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from gan.commands import options, outputs
from gan.data.sources.files import SUFFIXES
from gan.looks import LOOK, names_look
from gan.models.address import checkpoint_of
from gan.records.record import Records
from gan.runs.run_folder import CHECKPOINTS
from gan.settings import CELL, DIRECTION, SEED, STRENGTH, TILE
from gan.translation.image_translator import PLAIN, ImageFunction, ImageTranslator, LookSheet, parse_look
from gan.utils.errors import UserError, at_least, writing
from gan.utils.option_values import pair, parse_assignments
from gan.utils.output import counting, print_line
from gan.utils.processes import available_memory
from gan.utils.seamless import AREA

if TYPE_CHECKING:
    import numpy as np

MAX_SCALE = 4  # print a note if images are larger than the training size by more than this factor
OUT = "translated"  # in the run folder
FORMATS = ("png", "webp", "jpg", "tif", "gif")  # of --format
ALL = f"{LOOK}all"  # stands for all looks, on one sheet
FOR_RUNS = ("direction", "tile", "checkpoint", "device", "threads")  # options for trained translators


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights, options.Fit):
    """What to translate, and how. The parameters of a look are the words NAME=VALUE in `settings`."""

    input: Path
    output: str | None
    settings: list[str]
    seed: int | None
    steady: bool
    direction: str = DIRECTION.default
    strength: float
    cell: int | str
    seamless: str | None
    palette: str | None
    dither: str
    autocontrast: str
    format: str | None
    tile: int | None = TILE.default
    max_pixels: int | None
    no_metadata: bool
    force: bool

    def __post_init__(self) -> None:
        if self.palette and self.strength != 1:
            raise UserError("--palette and --strength: blending changes the colors; give one of them")
        options.check_palette(self)
        if self.seamless and self.run == ALL:
            raise UserError(f"--seamless: needs one look; {ALL} makes a sheet of all")
        if self.max_pixels is not None:
            at_least("--max-pixels", self.max_pixels, 1)
        if self.fit or self.is_look:
            kind = "--fit trains nothing" if self.fit else f"{self.run} is a look"
            for field in fields(self):
                if field.name in FOR_RUNS and vars(self)[field.name] != field.default:
                    raise UserError(f"--{field.name}: needs a trained translator; {kind}")
        if not self.is_look and (self.settings or self.seed is not None):
            kind = "--fit has no parameters" if self.fit else f"{self.run} is a trained translator"
            raise UserError(f"{'--set' if self.settings else '--seed'}: needs a look, such as look:film; {kind}")

    @property
    def is_look(self) -> bool:
        return names_look(self.run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="TRANSLATOR", help="look:NAME for a look without a "
                        "network (--list-looks shows all, look:all tries all); FILE.cube for a color table; or a "
                        f"trained translator: {options.MODEL}; none with --fit, or for --palette alone")  # fmt: skip
    parser.add_argument("input", metavar="INPUT", help="image, video, or folder of images and videos")
    parser.add_argument("output", nargs="?", metavar="OUTPUT", help="folder for files with the same names, created if "
                        "missing; or, for a single image, a file whose extension selects the format (default for a "
                        f"run: RUN/{OUT})")  # fmt: skip
    options.add_fit(parser, "TRANSLATOR")
    parser.add_argument("--list-looks", action=ListLooks, nargs=0, help="print the looks with their parameters")
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="settings", metavar="NAME=VALUE",
                        help="parameters of a look, as in --set vignette=0.3 grain=0.1")  # fmt: skip
    SEED.add_to(parser, default=None)  # None: not given
    parser.add_argument("--steady", action="store_true", help="videos and animations: reduce flicker; all frames have "
                        "the same grain and noise, and statistics of the whole image are means over about a "
                        "second")  # fmt: skip
    DIRECTION.add_to(parser)
    STRENGTH.add_to(parser)
    options.add_seamless(parser)
    CELL.add_to(parser)
    options.add_palette(parser, "target images")
    parser.add_argument("--format", choices=FORMATS, help="format of translated images (default: that of the input, or "
                        "of the extension of OUTPUT)")  # fmt: skip
    TILE.add_to(parser)
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse images with more pixels: width x height, "
                        "summed over the frames of an animation (default: 64 million, or fewer if memory is "
                        "short)")  # fmt: skip
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


class ListLooks(argparse.Action):
    """Prints the looks."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from gan.looks.registry import listing  # imports scipy

        print(listing())
        parser.exit()


def prepare(arguments: argparse.Namespace) -> None:
    """Check the paths of the arguments. Without TRANSLATOR, the two words are INPUT and OUTPUT; `run` is then no path.

    TRANSLATOR is left out with --fit, and with --palette or --cell if the first word is a path of images.
    """
    options.check_fit(arguments)
    first, second, third = arguments.run, arguments.input, arguments.output
    if arguments.fit and (first is None or third is not None):
        raise UserError("gan translate --fit PHOTOGRAPHS RETRO: give INPUT and OUTPUT, and no TRANSLATOR")
    if first is None:
        raise UserError("gan translate: give TRANSLATOR and INPUT; gan translate --help shows the arguments")
    pixel_art_alone = (arguments.palette or arguments.cell != 1) and third is None and holds_images(first)
    if arguments.fit or pixel_art_alone:
        arguments.run, arguments.input, arguments.output = "" if arguments.fit else PLAIN, first, second
    elif first != ALL:
        options.existing_run_or_look(first)
    if names_look(arguments.input):
        raise UserError(f"{arguments.input}: give it first, as in gan translate look:film photo.jpg out")
    arguments.input = options.existing_path(arguments.input)


def holds_images(text: str) -> bool:
    """Return whether a path is an image, or a folder that is no run or shared model."""
    path = Path(text)
    if path.is_dir():
        return not any((path / name).exists() for name in (CHECKPOINTS, "config.json"))
    return path.is_file() and path.suffix.lower() in SUFFIXES


class Chosen(NamedTuple):
    """What TRANSLATOR names."""

    function: ImageFunction
    made_by: dict[str, Any]  # the fields of a record that name it
    trained: int | None = None  # the side to which training images were scaled; None if they were not
    target_palette: Callable[[int], np.ndarray] | None = None  # of a number of colors; None without target images


def run(request: Request) -> int:
    from gan.translation import translate_files as files

    # A look is checked before the input is searched; a network is loaded after that, because it takes longer.
    chosen = choose_look(request) if request.is_look else None
    if chosen and request.output is None:
        raise UserError(f"{request.run}: give OUTPUT, a folder or a file, because there is no run folder to write into")
    output = request.output or str(outputs.out_in_run(request.run, None, OUT))
    suffix = f".{request.format}" if request.format else None
    planned = files.plan(request.input, output, suffix)
    todo = outputs.to_write(planned, request.force)
    if not todo:
        return 0
    chosen = chosen or (fit_color_map(request, request.fit) if request.fit else choose_network(request))
    palette = load_palette(request.palette, chosen) if request.palette else None
    pixel_art = None
    if request.cell != 1 or palette is not None:
        from gan.pixel_art.cells import PixelArt  # imports scikit-image

        pixel_art = PixelArt(request.cell, palette, request.dither, request.autocontrast)
    translator = ImageTranslator(
        chosen.function, request.strength, pixel_art, palette is not None, request.seed or 0, request.seamless,
        request.steady,
    )  # fmt: skip
    if pixel_art and any(files.format_of(target) == "JPEG" for _, target in todo):
        print("note: JPEG changes cells and colors; add --format png")
    bytes_per_pixel = math.ceil(chosen.function.bytes_per_pixel * (AREA if request.seamless else 1))
    limit = request.max_pixels or files.max_pixels(available_memory(), pixel_art is not None, bytes_per_pixel)
    records = Records(
        palette, strength=request.strength, cell=request.cell, direction=request.direction, dither=request.dither,
        autocontrast=request.autocontrast, steady=request.steady, **chosen.made_by | {"seamless": request.seamless},
    )  # fmt: skip
    describe = None if request.no_metadata else records.translation
    with (
        writing(output, outputs.RERUN),
        counting(f"translating into {output}", len(todo)) as advance,
        files.IsolatedProcess() as apart,
    ):
        failed, side = files.translate_files(todo, translator, request.input.is_file(), limit, advance, apart, describe)
    if chosen.trained is not None and side > MAX_SCALE * chosen.trained:
        print(f"note: an image has a side of {side} pixels, but training images were downsampled to {chosen.trained}, "
              "so grain, dots and strokes will have the wrong size; train with data.fit=patches")  # fmt: skip
    return outputs.report_failed(failed, len(todo), "translated")


def choose_look(request: Request) -> Chosen:
    """Return the look of TRANSLATOR with the parameters of --set, or the sheet of all looks."""
    if request.run == ALL:
        return Chosen(LookSheet(), {"look": LookSheet.recorded})
    look = parse_look(request.run, parse_assignments(request.settings, "cell=6"))
    return Chosen(look, {"look": look.recorded, "seed": request.seed or None})


def fit_color_map(request: Request, folders: tuple[str, str]) -> Chosen:
    """Return the color map of --fit, and print how near it comes to the target images."""
    from gan.translation import fitted_maps

    print_line("fitting a color map ...")
    choice = fitted_maps.choose_for_folders(*folders, request.map, request.position)
    print(f"color map fitted: {choice.describe()}")
    function = fitted_maps.ClosedFormFunction(choice.color_map)
    made_by = {"closed_form": function.recorded, "map": request.map, "position": request.position}
    return Chosen(function, made_by, None, lambda colors: fitted_maps.palette_of_folder(folders[1], colors))


def choose_network(request: Request) -> Chosen:
    """Return the trained translator of TRANSLATOR, on the selected device."""
    from gan.models import loading
    from gan.records.provenance import fields_of
    from gan.translation import translator

    def palette(colors: int) -> np.ndarray:
        from gan.translation.fitted_maps import target_palette  # imports scikit-image

        return target_palette(config, Path(request.run), request.direction, colors)

    path = checkpoint_of(request.run, request.checkpoint)
    network, state = loading.load_generator(path)
    network, config = loading.select_direction(path, network, request.direction), state["config"]
    network.to(options.prepare_device(request))
    return Chosen(
        translator.network_function(network, config, request.tile),
        fields_of(network, int(state["images"])),
        None if config["data"].get("fit") == "patches" else max(pair(config["data"]["size"])),
        palette,
    )


def load_palette(palette: str, chosen: Chosen) -> np.ndarray:
    """Return the palette of --palette: by its name, read from a file, or computed from target images."""
    from gan.pixel_art.palettes import read_palette

    if not palette.isdecimal():
        return read_palette(palette)
    if chosen.target_palette is None:
        raise UserError(f"--palette {palette}: a look has no target images; give a palette such as gameboy, or a file")
    return chosen.target_palette(int(palette))
