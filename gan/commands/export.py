"""Export a model to files for other programs: ONNX, torch.export, or weights alone; to a web page; or a color table.

Each network is compared with PyTorch before it is written: outputs may differ by 1e-4, and images by 1 level (of 255).
"""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options, translators
from gan.common.errors import UserError
from gan.common.names import one_line
from gan.common.output import print_line
from gan.common.table import aligned
from gan.settings import parse_size

if TYPE_CHECKING:
    from gan.sharing.export.export import Exported

FORMATS = ("onnx", "pt2", "safetensors")
WEB = "web"
TABLES = ("cube", "hald")
TABLE_SIZES = (17, 33, 65)  # entries along each axis
MAX_TITLE = 200  # characters
FEATURES = "features"


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
    options.add_size(parser, "of a translator: restrict images to this size, for runtimes without dynamic shapes",
                     "any height and width")  # fmt: skip
    parser.add_argument("--no-features", dest=FEATURES, action="store_false", help="do not export the discriminator's "
                        "features, which recognition needs")  # fmt: skip
    translators.add_fit(parser, "MODEL, with --to cube or hald")
    parser.add_argument("--table-size", type=int, choices=TABLE_SIZES, help="with --to cube: entries along each axis "
                        "(default: 33); with --to hald they are 16, 36 and 64")  # fmt: skip
    web = parser.add_argument_group("--to web")
    web.add_argument("--title", type=title, metavar="TEXT", help="title of the page (default: Generated images, or "
                     "Translated photographs)")  # fmt: skip
    web.add_argument("--directions", type=Path, metavar="FILE", help="file of gan directions; the page has a slider "
                     "for each direction (default: the first four of GANSpace)")  # fmt: skip
    web.add_argument("--webgpu", action="store_true", help="add the files for WebGPU (27 MB); the page uses the GPU on "
                     "request, if its images pass the check")  # fmt: skip
    web.add_argument("--runtime", type=Path, metavar="FILE", help="package onnxruntime-web-1.30.0.tgz of the npm "
                     "registry (default: downloaded once, 33 MB)")  # fmt: skip
    options.add_weights(parser)
    options.add_force(parser)


def prepare(arguments: argparse.Namespace) -> None:
    """Check MODEL, or the folders of --fit."""
    translators.check_fit(arguments)
    if arguments.fit and arguments.to not in TABLES:
        raise UserError(f"--fit: needs --to cube or --to hald; --to {arguments.to} exports trained models")
    if bool(arguments.fit) == (arguments.run is not None):
        raise UserError("gan export: give either MODEL or --fit PHOTOGRAPHS RETRO")
    if arguments.run is not None:
        options.existing_run_or_look(arguments.run)


def title(text: str) -> str:
    """Return a title; raise UserError for an empty or long one."""
    if not text.strip() or len(text) > MAX_TITLE:
        raise UserError(f"--title: give 1 to {MAX_TITLE} characters")
    return one_line(text.strip())


def run(arguments: argparse.Namespace) -> None:
    size = parse_size(arguments.size) if arguments.size else None
    refuse_unwritable(arguments.out)
    if arguments.to in TABLES:
        return run_table(arguments)
    if options.names_look(arguments.run):
        raise UserError(f"{arguments.run}: is a look, which has no network; use --to cube or --to hald")
    refuse_options(arguments, "cube or hald", "table_size")
    if arguments.to == WEB:
        return run_web(arguments)
    refuse_options(arguments, WEB, "title", "directions", "webgpu", "runtime")
    if arguments.to == "onnx":
        from gan.sharing.export import onnx_file

        onnx_file.check_installed()

    from gan import api
    from gan.sharing.export.export import export

    options.prepare_device(arguments)
    model = api.load(arguments.run, arguments.checkpoint, arguments.ema)
    discriminator = load_discriminator(arguments) if arguments.features and hasattr(model, "generator") else None
    files = export(model, arguments.to, arguments.out, arguments.fp16, size, discriminator, arguments.force)
    print_files(files)


def run_table(arguments: argparse.Namespace) -> None:
    """Write the color table of a look or of a translator that maps colors."""
    refuse_options(arguments, WEB, "title", "directions", "webgpu", "runtime")
    refuse_options(arguments, "onnx", "fp16", "size")

    from gan.sharing.export import tables

    size = tables.size_for(arguments.to, arguments.table_size or TABLE_SIZES[1])
    if arguments.fit:
        from gan.inference.closed_form import choose_for_folders

        photographs, retro = arguments.fit
        choice = choose_for_folders(photographs, retro, arguments.map, arguments.position)
        print_line(f"color map fitted: {choice.describe()}")
        found = tables.of_color_map(choice.color_map, size, retro)
    elif options.names_look(arguments.run):
        from gan.inference.look import parse_look

        found = tables.of_look(parse_look(arguments.run), size)
    else:
        from gan import api
        from gan.sharing.export.lut_table import inputs_of

        options.prepare_device(arguments)
        model = api.load(arguments.run, arguments.checkpoint, arguments.ema)
        found = tables.of_translator(model, size, arguments.run, lambda: inputs_of(model, Path(arguments.run)))
    path = tables.write(found, arguments.to, arguments.out, arguments.force, arguments.run)
    print_line(f"{path}: {size} entries along each axis")
    if found.lost:
        print_line(f"note: a color table does not hold everything: {'; '.join(found.lost)}")


def run_web(arguments: argparse.Namespace) -> None:
    """Write a page. It has neither features nor a fixed size."""
    if arguments.size:
        raise UserError(f"--size {arguments.size}: a page translates images of all sizes; leave it out")
    if not arguments.features:
        raise UserError("--no-features: a page has no features; leave it out")
    if not arguments.force and arguments.out.is_dir() and any(arguments.out.iterdir()):
        raise UserError(f"--out {arguments.out}: is not empty; use --force to write the page beside its files")
    from gan.sharing.web import runtime

    package = runtime.find(arguments.runtime) if arguments.runtime else None

    from gan import api
    from gan.latent.store import read_directions
    from gan.sharing.export import onnx_file
    from gan.sharing.web.write import write_page

    onnx_file.check_installed()
    package = package or runtime.find()
    options.prepare_device(arguments)
    model = api.load(arguments.run, arguments.checkpoint, arguments.ema)
    directions = None
    if arguments.directions:
        if not hasattr(model, "generator"):
            raise UserError(f"--directions {arguments.directions}: {arguments.run} is a translator; leave it out")
        directions = read_directions(arguments.directions, model.generator)
    given = arguments.fp16, arguments.title, directions, arguments.webgpu, arguments.force
    page = write_page(model, arguments.out, package, *given)
    print_files(page.models)
    print_line(f"{arguments.out}: the page is {page.size / 1e6:.1f} MB; run `python -m http.server -d "
               f"{shlex.quote(str(arguments.out))}` and open http://localhost:8000")  # fmt: skip


def print_files(files: list[Exported]) -> None:
    rows = [[str(file.path), f"{len(file.data):,}", str(file.difference)] for file in files]
    print("\n".join(aligned(["file", "bytes", "largest difference from PyTorch"], rows, right=["bytes"])))


def refuse_options(arguments: argparse.Namespace, to: str, *names: str) -> None:
    """Raise UserError if options were given that only another format has."""
    if given := [name for name in names if getattr(arguments, name)]:
        option = given[0].replace("_", "-")
        raise UserError(f"--{option}: only --to {to} has it; leave it out, or use --to {to}")


def load_discriminator(arguments: argparse.Namespace) -> Any:
    """Return the discriminator of RUN; None, after a note, if it has none with features."""
    from gan.sharing.export.export import discriminator_of

    try:
        return discriminator_of(arguments.run, arguments.checkpoint)
    except UserError as error:
        print(f"note: no features are exported: {error}")
        return None


def refuse_unwritable(out: Path) -> None:
    """Raise UserError if files cannot be written in a folder, which may not exist yet."""
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        what = "may not be written" if existing.is_dir() else "is a file"
        raise UserError(f"--out {out}: cannot be created, because {existing} {what}; give another folder")
