"""Export a model to files for other programs: ONNX or torch.export; to a web page; or a color table.

Export a folder of images to a sheet, a file of Aseprite or a tileset of Tiled.

Each network is compared with PyTorch before it is written: outputs may differ by 1e-4, and images by 1 level (of 255).
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.looks import names_look
from gan.models.address import is_model
from gan.utils.errors import UserError
from gan.utils.output import print_aligned, print_line

if TYPE_CHECKING:
    from gan.export.export import Exported

FORMATS = ("onnx", "pt2")
SHEETS = ("sheet", "aseprite", "tiled", "terrain")  # of gan.assets.sheets
WEB = "web"
TABLE = "cube"
TABLE_SIZE = 33  # entries along each axis


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights, options.Fit):
    """What to export, and as which files."""

    run: str | None  # type: ignore[assignment]  # None with --fit and for images
    images: Path | None
    to: str
    seamless: str | None
    out: Path
    force: bool

    def __post_init__(self) -> None:
        if self.to in SHEETS and not self.images:
            raise UserError(f"--to {self.to}: give a folder of images, such as one that gan generate has written")
        if self.fit and self.to != TABLE:
            raise UserError(f"--fit: needs --to {TABLE}; leave it out with --to {self.to}")
        if sum(map(bool, (self.fit, self.run, self.images))) != 1:
            raise UserError("gan export: give either MODEL or --fit PHOTOGRAPHS RETRO")
        if self.to != TABLE and names_look(self.run or ""):
            raise UserError(f"{self.run}: is a look, which has no network; use --to {TABLE}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="MODEL", help=f"{options.MODEL}; for a color table also look:NAME "
                        "or FILE.cube; none with --fit")  # fmt: skip
    parser.add_argument("--to", required=True, choices=(*FORMATS, WEB, TABLE, *SHEETS), help="onnx: for ONNX Runtime; "
                        "pt2: for PyTorch, without this package; web: a folder with a page that runs the model in a "
                        "browser, without a network; cube: a color table for image and video editors; sheet, aseprite, "
                        "tiled, terrain: in place of MODEL a folder of images, as assets of a game")  # fmt: skip
    options.add_out(parser, "folder for the files; created if missing")
    options.add_fit(parser, "MODEL, with --to cube")
    options.add_seamless(parser)
    options.add_weights(parser)
    options.add_force(parser)


def prepare(arguments: argparse.Namespace) -> None:
    """Check MODEL, or the folders of --fit."""
    options.check_fit(arguments)
    arguments.images = None
    if arguments.to in SHEETS and arguments.run is not None and not is_model(Path(arguments.run)):
        arguments.images, arguments.run = options.existing_path(arguments.run), None
    if arguments.run is not None:
        options.existing_run_or_look(arguments.run)


def run(request: Request) -> None:
    if request.to == TABLE:
        write_table(request)
    elif request.images:
        from gan.assets import sheets

        for path in sheets.export(request.images, request.to, request.out, request.force):
            print_line(str(path))
    elif request.to == WEB:
        write_web_page(request)
    else:
        write_networks(request)


def load(request: Request) -> Any:
    from gan import api

    assert request.run is not None
    options.prepare_device(request)
    return options.made_seamless(api.load(request.run, request.checkpoint), request)


def write_networks(request: Request) -> None:
    from gan.export import export

    if request.to == "onnx":
        export.check_onnx_installed()
    print_files(export.export(load(request), request.to, request.out, request.force))


def write_table(request: Request) -> None:
    """Write the color table of a look, of a translator that maps colors, or of a fitted map."""
    from gan.export import tables
    from gan.translation import fitted_maps, image_translator

    run = request.run or ""
    if request.fit:
        choice = fitted_maps.choose_for_folders(*request.fit, request.map, request.position)
        print(f"color map fitted: {choice.describe()}")
        table = tables.of_color_map(choice.color_map, TABLE_SIZE, request.fit[1])
    elif names_look(run):
        table = tables.of_look(image_translator.parse_look(run), TABLE_SIZE)
    else:
        model = load(request)
        table = tables.of_translator(model, TABLE_SIZE, run, lambda: tables.inputs_of(model, Path(run)))
    path = tables.write(table, request.out, request.force, request.run)
    print_line(f"{path}: {TABLE_SIZE} entries along each axis")
    if table.lost:
        print_line(f"note: a color table does not hold everything: {'; '.join(table.lost)}")


def write_web_page(request: Request) -> None:
    """Write a page that runs the model in a browser."""
    out = request.out
    if not request.force and out.is_dir() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty; use --force to write the page beside its files")

    from gan.export import export, web

    export.check_onnx_installed()
    package = web.find()
    print_files(web.write_page(load(request), out, package))
    size = sum(path.stat().st_size for path in out.iterdir())
    print_line(f"{out}: the page is {size / 1e6:.1f} MB; run `python -m http.server -d {shlex.quote(str(out))}` "
               "and open http://localhost:8000")  # fmt: skip


def print_files(files: list[Exported]) -> None:
    rows = [[str(file.path), f"{len(file.data):,}", str(file.difference)] for file in files]
    print_aligned(["file", "bytes", "largest difference from PyTorch"], rows, right=["bytes"])
