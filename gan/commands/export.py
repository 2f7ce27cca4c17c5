"""Export a model to files for other programs: ONNX, torch.export, or weights alone; to a web page; or a color table.

Each network is compared with PyTorch before it is written: outputs may differ by 1e-4, and images by 1 level (of 255).
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.settings import add_size, names_look
from gan.utils.errors import UserError
from gan.utils.output import aligned, one_line, print_line

if TYPE_CHECKING:
    from gan.export.export import Exported

FORMATS = ("onnx", "pt2", "safetensors")
WEB = "web"
TABLES = ("cube", "hald")
TABLE_SIZES = (17, 33, 65)  # entries along each axis
# Options that only some formats have, with the value that means "not given".
ONLY = {"title": (WEB,), "directions": (WEB,), "runtime": (WEB,), "table_size": TABLES,
        "fit": TABLES, "size": FORMATS, "fp16": (*FORMATS, WEB)}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights, options.Fit):
    """What to export, and as which files."""

    run: str | None  # type: ignore[assignment]  # None with --fit
    to: str
    out: Path
    fp16: bool
    size: tuple[int, int] | None
    features: bool
    table_size: int | None
    title: str | None
    directions: Path | None
    runtime: Path | None
    force: bool

    def __post_init__(self) -> None:
        for name, formats in ONLY.items():
            if getattr(self, name) and self.to not in formats:
                option = name.replace("_", "-")
                raise UserError(f"--{option}: needs --to {' or '.join(formats)}; leave it out with --to {self.to}")
        if bool(self.fit) == (self.run is not None):
            raise UserError("gan export: give either MODEL or --fit PHOTOGRAPHS RETRO")
        if self.to not in TABLES and names_look(self.run or ""):
            raise UserError(f"{self.run}: is a look, which has no network; use --to cube or --to hald")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="MODEL", help=f"{options.MODEL}; for a color table also look:NAME, "
                        "FILE.cube, or a HaldCLUT FILE.png; none with --fit")  # fmt: skip
    parser.add_argument("--to", required=True, choices=(*FORMATS, WEB, *TABLES), help="onnx: for ONNX Runtime; pt2: "
                        "for PyTorch, without this package; safetensors: weights alone; web: a folder with a page that "
                        "runs the model in a browser, without a network; cube, hald: a color table for image and "
                        "video editors, as a .cube file or a HaldCLUT image")  # fmt: skip
    options.add_out(parser, "folder for the files; created if missing")
    parser.add_argument("--fp16", action="store_true", help="store weights in fp16, which halves the files; the "
                        "difference is printed, and may be at most 0.05, and 6 levels (of 255)")  # fmt: skip
    add_size(parser, "of a translator: restrict images to this size, for runtimes without dynamic shapes",
             "any height and width")  # fmt: skip
    parser.add_argument("--no-features", dest="features", action="store_false", help="do not export the "
                        "discriminator's features, which recognition needs")  # fmt: skip
    options.add_fit(parser, "MODEL, with --to cube or hald")
    parser.add_argument("--table-size", type=int, choices=TABLE_SIZES, help="with --to cube: entries along each axis "
                        "(default: 33); with --to hald they are 16, 36 and 64")  # fmt: skip
    web = parser.add_argument_group("--to web")
    web.add_argument("--title", type=one_line, metavar="TEXT", help="title of the page (default: Generated images, or "
                     "Translated photographs)")  # fmt: skip
    web.add_argument("--directions", type=options.existing_path, metavar="FILE", help="file of gan directions; the "
                     "page has a slider for each direction (default: the first four of GANSpace)")  # fmt: skip
    web.add_argument("--runtime", type=options.existing_path, metavar="FILE", help="package onnxruntime-web-1.30.0.tgz "
                     "of the npm registry (default: downloaded once, 33 MB)")  # fmt: skip
    options.add_weights(parser)
    options.add_force(parser)


def prepare(arguments: argparse.Namespace) -> None:
    """Check MODEL, or the folders of --fit."""
    options.check_fit(arguments)
    if arguments.run is not None:
        options.existing_run_or_look(arguments.run)


def run(request: Request) -> None:
    if request.to in TABLES:
        write_table(request)
    elif request.to == WEB:
        write_web_page(request)
    else:
        write_networks(request)


def load(request: Request) -> Any:
    """Return the model of a request."""
    from gan import api

    assert request.run is not None
    options.prepare_device(request)
    return api.load(request.run, request.checkpoint, request.ema)


def write_networks(request: Request) -> None:
    """Write the networks of a model, each to a file."""
    from gan.export import export, formats

    if request.to == "onnx":
        formats.check_onnx_installed()
    model, discriminator = load(request), None
    if request.features and hasattr(model, "generator"):
        try:
            discriminator = export.discriminator_of(str(request.run), request.checkpoint)
        except UserError as error:
            print(f"note: no features are exported: {error}")
    print_files(export.export(model, request.to, request.out, request.fp16, request.size, discriminator, request.force))


def write_table(request: Request) -> None:
    """Write the color table of a look, of a translator that maps colors, or of a fitted map."""
    from gan.export import tables
    from gan.translation import fitted_maps, image_translator

    size, run = tables.size_for(request.to, request.table_size or TABLE_SIZES[1]), request.run or ""
    if request.fit:
        choice = fitted_maps.choose_for_folders(*request.fit, request.map, request.position)
        print_line(f"color map fitted: {choice.describe()}")
        table = tables.of_color_map(choice.color_map, size, request.fit[1])
    elif names_look(run):
        table = tables.of_look(image_translator.parse_look(run), size)
    else:
        model = load(request)
        table = tables.of_translator(model, size, run, lambda: tables.inputs_of(model, Path(run)))
    path = tables.write(table, request.to, request.out, request.force, request.run)
    print_line(f"{path}: {size} entries along each axis")
    if table.lost:
        print_line(f"note: a color table does not hold everything: {'; '.join(table.lost)}")


def write_web_page(request: Request) -> None:
    """Write a page that runs the model in a browser. It has neither features nor a fixed size."""
    out = request.out
    if not request.force and out.is_dir() and any(out.iterdir()):
        raise UserError(f"--out {out}: is not empty; use --force to write the page beside its files")

    from gan.editing.vector_files import read_directions
    from gan.export import formats, web

    formats.check_onnx_installed()
    package = web.find(request.runtime)
    model, directions = load(request), None
    if request.directions:
        if not hasattr(model, "generator"):
            raise UserError(f"--directions {request.directions}: {request.run} is a translator; leave it out")
        directions = read_directions(request.directions, model.generator)
    page = web.write_page(model, out, package, request.fp16, request.title, directions, request.force)
    print_files(page.models)
    print_line(f"{out}: the page is {page.size / 1e6:.1f} MB; run `python -m http.server -d {shlex.quote(str(out))}` "
               "and open http://localhost:8000")  # fmt: skip


def print_files(files: list[Exported]) -> None:
    rows = [[str(file.path), f"{len(file.data):,}", str(file.difference)] for file in files]
    print("\n".join(aligned(["file", "bytes", "largest difference from PyTorch"], rows, right=["bytes"])))
