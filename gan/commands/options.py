"""Options and requests that several commands share, and where results go. No torch at import."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.looks import LOOK, names_look
from gan.models import address, shared_model
from gan.runs import checkpoints, run_folder
from gan.settings import AUTOCONTRAST, COLOR_MAPS, DITHER, POSITIONS, parse_license, parse_seeds
from gan.utils.colors import COLORS
from gan.utils.errors import UserError, path_hint
from gan.utils.output import one_line, shows_bars

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from gan.model import Model
    from gan.utils.video_state import Video

MODEL = "run folder, checkpoint file, folder written by gan share, zoo:NAME, hf://USER/NAME, or s3://BUCKET/PATH"

# ---- requests: the options of a command as one value that is passed on


@dataclass(frozen=True, kw_only=True)
class Device:
    """The options of `add_device`."""

    device: str = "cpu"
    threads: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Weights(Device):
    """A model and the options of `add_weights`."""

    run: str
    checkpoint: str = "best"


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The options of `add_fit`."""

    fit: tuple[str, str] | None = None
    map: str | None = None
    position: str | None = None


# ---- options


def add_command(commands: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    """Add a sub-command and return its parser. `meaning` describes it in the list of commands and in its own help."""
    return commands.add_parser(name, help=meaning, description=meaning)


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=MODEL, type=existing_run)


def add_seeds(parser: Any, default: str, help: str = "seeds of the images", type: Any = parse_seeds) -> None:
    parser.add_argument("--seeds", default=default, type=type, help=f"{help}, as in 0-15,42 (default: %(default)s)")


def add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar="IMAGES", type=existing_path, help="image, or folder or zip archive of them")


def add_latents(parser: Any) -> None:
    parser.add_argument("--latents", type=existing_path, metavar="FILE", help="latents of images, written by gan "
                        "project")  # fmt: skip


def add_class(parser: argparse.ArgumentParser, default: str = "the class of each seed") -> None:
    parser.add_argument("--class", dest="label", metavar="NAME", help="class of the images, if the model was trained "
                        f"with data.labels=true (default: {default})")  # fmt: skip


def add_out(
    parser: argparse.ArgumentParser, help: str, required: bool = True, metavar: str = "DIR", default: str = ""
) -> None:
    """Add --out. With `default`, a name in the run folder for `out_in_run`, the option is not required."""
    if default:
        required, help = False, f"{help} (default: RUN/{default})"
    kind = out_folder if metavar == "DIR" else Path
    parser.add_argument("--out", required=required, type=kind, metavar=metavar, help=help)


def out_folder(text: str) -> Path:
    """Return the folder of --out; raise UserError if it looks like a file of images, which would become a folder."""
    from gan.data.sources.files import SUFFIXES  # imports numpy

    path = Path(text)
    if path.suffix.lower() in SUFFIXES | {".aseprite", ".ase"} and not path.is_dir():
        raise UserError(f"--out {text}: is the name of a file; give a folder, as in --out {path.with_suffix('')}")
    return path


def add_grid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--grid", action="store_true", help="also write all images as one grid.png")


def add_recognition(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--recognition", type=Path, metavar="DIR", help=help)


def add_metadata(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-metadata", action="store_true", help="do not write metadata (model, seed, options), "
                        "which gan info FILE prints")  # fmt: skip


def add_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", default="best", help="best, last or a file (default: %(default)s)")
    add_device(parser)


def add_palette(parser: argparse.ArgumentParser, source: str) -> None:
    """Add --palette, --dither and --autocontrast. A number of colors is computed from `source`."""
    parser.add_argument("--palette", metavar="COLORS", help=f"pixel art: {', '.join(COLORS)}; or a number of colors to "
                        f"compute from {source}; or an image or palette file")  # fmt: skip
    DITHER.add_to(parser)
    AUTOCONTRAST.add_to(parser)


def check_palette(request: Any) -> None:
    """Raise UserError if an option of `add_palette` needs a palette."""
    for setting, value in ((DITHER, request.dither), (AUTOCONTRAST, request.autocontrast)):
        if value != setting.default and not request.palette:
            raise UserError(f"--{setting.name} {value}: needs a palette; add --palette, as in --palette gameboy")


def palette_of(palette: str | None, images: Callable[[], Tensor]) -> np.ndarray | None:
    """Return the palette of --palette, uint8 (K, 3); of a number of colors, the one that is fitted to images."""
    if palette is None:
        return None

    from gan.pixel_art.palettes import fit_palette, read_palette  # imports scikit-image
    from gan.translation.fitted_maps import opaque

    return fit_palette(opaque(images()), int(palette)) if palette.isdecimal() else read_palette(palette)


def in_palette(images: Tensor, palette: np.ndarray | None, request: Any, video: Video | None = None) -> Tensor:
    """Return images uint8 (N, C, H, W), or the frames of a video, in the colors of a palette, if there is one."""
    if palette is None:
        return images

    from gan.pixel_art.cells import recolored  # imports scikit-image

    return recolored(images, palette, request.dither, request.autocontrast, video)


def add_seamless(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seamless", choices=("x", "y", "both"), help="images whose left and right borders (x), upper "
                        "and lower borders (y) or all borders fit together, for textures")  # fmt: skip


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: %(default)s)")
    parser.add_argument("--threads", default="auto", metavar="N", help="number of torch threads on the CPU (default: "
                        "torch's choice, or OMP_NUM_THREADS)")  # fmt: skip
    parser.add_argument("--code", action="append", default=[], metavar="DIR", help="folder with the code of the run's "
                        "network, if it is your own and not part of gan")  # fmt: skip


def add_relicense(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--relicense", action="store_true", help="allow a --license that the license of the model from "
                        "which the weights come does not permit")  # fmt: skip


def add_force(parser: argparse.ArgumentParser, help: str = "overwrite existing files") -> None:
    parser.add_argument("--force", action="store_true", help=help)


def add_fit(parser: argparse.ArgumentParser, instead: str) -> None:
    """Add --fit and its options. `instead` is the argument whose place it takes."""
    parser.add_argument("--fit", nargs=2, type=str, metavar=("PHOTOGRAPHS", "RETRO"), help=f"in place of {instead}: "
                        "fit a color map to two folders of different images, without training")  # fmt: skip
    parser.add_argument("--map", choices=COLOR_MAPS, help="with --fit: kind of the color map (default: chosen on "
                        "held-out images)")  # fmt: skip
    parser.add_argument("--position", choices=POSITIONS, help="with --fit: whether to also fit a vignette "
                        "(radial) (default: if most of RETRO have one)")  # fmt: skip


# ---- paths and names, which are checked before torch is imported


def check_fit(arguments: argparse.Namespace) -> None:
    """Raise UserError if a folder of --fit does not exist, or --map or --position is given without --fit."""
    for folder in arguments.fit or ():
        existing_path(folder)
    if not arguments.fit and (arguments.map or arguments.position):
        raise UserError(f"--{'map' if arguments.map else 'position'}: needs --fit PHOTOGRAPHS RETRO")


def existing_run(text: str) -> str:
    """Return a path; raise UserError if there is no run or checkpoint."""
    path = Path(text)
    if not address.is_address(text) and not path.exists():
        inside = Path("runs") / text
        hint = f"; did you mean {inside}?" if run_folder.is_run(inside) else address.zoo_hint(text) or path_hint(path)
        hint = hint or f"; gan runs lists the runs, and a look is written {LOOK}NAME"
        raise UserError(f"{text}: no such run folder or checkpoint{hint}")
    return text


def existing_run_or_look(text: str) -> None:
    from gan.translation.image_translator import parse_look

    if names_look(text):
        parse_look(text)
    else:
        existing_run(text)


def existing_path(text: str) -> Path:
    if not os.path.lexists(text):
        kind = "file" if Path(text).suffix else "folder"
        raise UserError(f"there is no {kind} {text!r}{path_hint(text) or ': check the path'}")
    return Path(text)


def existing_source(text: str) -> str:
    """Return a path or an address as text; raise UserError if a path does not exist."""
    if not address.is_address(text):
        existing_path(text)
    return text


def locate(arguments: argparse.Namespace) -> None:
    """Replace the address of a model by its folder; raise UserError if there is no checkpoint."""
    values = vars(arguments)
    for name in ("run", "source"):
        if model := values.get(name):
            values[name] = str(address.locate(model))
    run = values.get("run")
    if arguments.checkpoint not in checkpoints.SELECTED:
        checkpoints.existing(arguments.checkpoint)
    elif run and os.path.isdir(run):
        require_checkpoint(run)


def require_checkpoint(run: str) -> None:
    folder = Path(run)
    if not shared_model.is_shared(folder) and not checkpoints.list_checkpoints(folder):
        hint = run_folder.hint_inside(folder) or "is it a run folder, or a folder written by gan share?"
        raise UserError(f"{run}: no checkpoint in {folder / run_folder.CHECKPOINTS}; {hint}")


# ---- models and devices


def load_model(request: Weights | argparse.Namespace) -> Model:
    if shows_bars():
        print(f"loading {request.run} ...", file=sys.stderr, flush=True)  # the next import takes seconds

    from gan.model import Model

    loaded = Model.from_pretrained(request.run, checkpoint=request.checkpoint).to(prepare_device(request))
    return made_seamless(loaded, request)


def made_seamless(model: Any, request: Any) -> Any:
    """Return a model with the --seamless of a request, if it has one; raise UserError for a translator."""
    axes = getattr(request, "seamless", None)
    if axes and not hasattr(model, "seamless"):
        raise UserError("--seamless: needs a generator; this model is a translator")
    return model.seamless(axes) if axes else model


def prepare_device(request: Device | argparse.Namespace) -> str:
    """Return the name of --device, and set --threads; raise UserError if torch cannot use one of them."""
    import torch

    if request.threads != "auto":
        if not (request.threads.isdecimal() and int(request.threads) > 0):
            raise UserError(f"--threads {request.threads}: must be an integer of at least 1, or auto")
        torch.set_num_threads(int(request.threads))
    try:
        torch.empty(1, device=request.device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {request.device}: torch cannot use it here; gan info lists the devices") from error
    return str(request.device)


# ---- folders of shared models


def add_card(parser: argparse.ArgumentParser, license: str, **folder: Any) -> None:
    """Add the folder of a shared model, what its card needs, --fp16 and --force. `license` says what the license is."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder to write; a new or empty one", **folder)
    parser.add_argument("--license", required=True, type=parse_license, metavar="NAME", help=f"{license}: an "
                        "identifier of the Hugging Face Hub, such as cc-by-4.0 or mit, or other")  # fmt: skip
    parser.add_argument("--trained-on", type=one_line, metavar="NAME", help="name of the training images for the "
                        "model card, as in 'Posters of the 1920s' or USER/NAME of a dataset on the Hub")  # fmt: skip
    parser.add_argument("--fp16", action="store_true", help="store weights in fp16, which halves the size of the "
                        "file; pixels may differ by 1 level (of 255) from those of fp32")  # fmt: skip
    add_force(parser, "overwrite the model in a folder that is not empty, and keep its other files")
