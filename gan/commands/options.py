"""Options that several commands share, and checks of their values."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.common.errors import UserError, reason
from gan.common.narrow import shows_bars
from gan.common.nested import flatten
from gan.common.similar import path_hint
from gan.data.color_table.names import is_table
from gan.inference.resolve import path_in
from gan.run import address, checkpoints, remote_copies, run_folder, shared_folder, zoo
from gan.run.early_checks import GAN, TRANSLATORS

if TYPE_CHECKING:
    from gan.model import Model

SOME_UNREADABLE = 3  # exit code
LOOK = "look:"  # precedes the name of a look
OTHER_IMAGES = (".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif")
NO_CHECKPOINTS = (".yaml", ".json", ".jsonl", ".png", ".csv", ".txt")  # suffixes of files in a run folder
TAKES_LATENTS = ("generate", "interpolate", "directions", "edit", "project")  # commands for a generator from latents


MAX_LINES = 20  # maximum number of failed files to list


def report_failed(lines: Sequence[str], total: int, what: str) -> int:
    """Print the lines of failed files, and how many of all they are. Return the exit code."""
    for line in lines[:MAX_LINES]:
        print(line, file=sys.stderr)
    if lines:
        print(f"{len(lines)} of {total} files could not be {what}", file=sys.stderr)
    return SOME_UNREADABLE if lines else 0


def rerun_later(error: OSError, output: str) -> UserError:
    """Return the error of a command that cannot write one of its files."""
    impossible = isinstance(error, NotADirectoryError | FileExistsError | FileNotFoundError | PermissionError)
    rerun = "files already written are complete, rerun the command to continue"
    remedy = "give another output" if impossible else rerun
    return UserError(f"{error.filename or output}: cannot be written ({reason(error)}); {remedy}")


def add_command(commands: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    """Add a sub-command and return its parser. `meaning` describes it in the list of commands and in its own help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=meaning, description=meaning)
    return parser


MODEL = "run folder, checkpoint file, folder written by gan share, zoo:NAME, hf://USER/NAME, or s3://BUCKET/PATH"


def add_run(parser: argparse.ArgumentParser, help: str = MODEL) -> None:
    parser.add_argument("run", metavar="RUN", help=help, type=existing_run)


def add_seeds(parser: Any, default: str, help: str = "seeds of the images") -> None:
    parser.add_argument("--seeds", default=default, help=f"{help}, as in 0-15,42 (default: %(default)s)")


def add_latents(parser: Any) -> None:
    parser.add_argument("--latents", type=Path, metavar="FILE", help="latents of images, written by gan project")


def add_class(parser: argparse.ArgumentParser, default: str = "the class of each seed") -> None:
    parser.add_argument("--class", dest="label", metavar="NAME", help="class of the images, if the model was trained "
                        f"with data.labels=true (default: {default})")  # fmt: skip


def add_size(
    parser: argparse.ArgumentParser, help: str, meaning: str = "%(default)s", default: str | None = None
) -> None:
    """Add --size; `meaning` describes the default in the help text."""
    help = f"{help}, as in 64 or 96x64 (height x width; default: {meaning})"
    parser.add_argument("--size", metavar="SIZE", default=default, help=help)


def add_out(
    parser: argparse.ArgumentParser, help: str, required: bool = True, metavar: str = "DIR", default: str = ""
) -> None:
    """Add --out. With `default`, a name in the run folder for `out_in_run`, the option is not required."""
    if default:
        required, help = False, f"{help} (default: RUN/{default})"
    parser.add_argument("--out", required=required, type=Path, metavar=metavar, help=help)


def add_grid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--grid", action="store_true", help="also write all images as one grid.png")


def add_recognition(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--recognition", type=Path, metavar="DIR", help=help)


def add_metadata(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-metadata", action="store_true", help="do not write metadata (model, seed, options), "
                        "which gan info FILE prints")  # fmt: skip


def add_weights(parser: argparse.ArgumentParser, ema: bool = True) -> None:
    """Add the options that choose the weights of a run, the device, and the user's own code."""
    if ema:
        parser.add_argument("--ema", type=float, metavar="WIDTH", help="use the EMA generator of this width, one of "
                            "model.power_ema, as in 0.05 (default: the EMA of model.ema_half_life)")  # fmt: skip
    parser.add_argument("--checkpoint", default="best", type=existing_checkpoint, metavar="CHECKPOINT",
                        help="best, last or a file (default: %(default)s)")  # fmt: skip
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the device, and the user's own code."""
    parser.add_argument("--device", default="cpu", type=device_name, help="cpu, cuda or mps (default: %(default)s)")
    help = "number of torch threads on the CPU (default: the fastest, measured meanwhile; OMP_NUM_THREADS if it is set)"
    parser.add_argument("--threads", default="auto", type=thread_count, metavar="N", help=help)
    parser.add_argument("--code", action="append", default=[], metavar="DIR", help="folder with the code of the run's "
                        "network, if it is your own and not part of gan")  # fmt: skip


def add_force(parser: argparse.ArgumentParser, help: str = "overwrite existing files") -> None:
    parser.add_argument("--force", action="store_true", help=help)


def existing_run(text: str) -> str:
    """Return a path; raise UserError if there is no run or checkpoint, before torch is imported."""
    path = Path(text)
    if not address.is_address(text) and not path.exists():
        inside = Path("runs") / text
        hint = f"; did you mean {inside}?" if run_folder.is_run(inside) else zoo.hint(text) or path_hint(path)
        raise UserError(f"{text}: no such run folder or checkpoint{hint or '; gan runs lists the runs'}")
    if path.is_file() and path.suffix in NO_CHECKPOINTS:
        raise UserError(f"{text}: is not a checkpoint; give the run folder, such as {path.parent}")
    return text


def names_look(text: str) -> bool:
    """Return whether text names a look, as in look:film, or a file with a color table, which is a look."""
    return text.startswith(LOOK) or is_table(text)


def existing_run_or_look(text: str) -> str:
    """Return text; raise UserError if there is no such run, checkpoint or look."""
    if not names_look(text):
        if Path(text).suffix.lower() in OTHER_IMAGES and Path(text).is_file():
            raise UserError(f"{text}: is an image; a color table is a .cube file, or a HaldCLUT saved as .png")
        try:
            return existing_run(text)
        except UserError as error:
            from gan.data.styles.registry import STYLES

            if text not in STYLES:
                raise
            hint = f"for the look, write {LOOK}{text}"
            raise UserError(f"{text}: no such run folder or checkpoint; {hint}") from error

    from gan.inference.look import parse_look

    parse_look(text)
    return text


def check_run(arguments: argparse.Namespace) -> None:
    """Raise UserError if RUN has no checkpoint, or its model does not fit the command, before torch is imported.

    The address of a model is replaced by its folder.
    """
    for name in ("run", "source"):
        if hasattr(arguments, name):
            setattr(arguments, name, str(address.locate(getattr(arguments, name))))
    run, checkpoint = getattr(arguments, "run", None), getattr(arguments, "checkpoint", None)
    if run and shared_folder.is_shared(Path(run)):
        about = shared_folder.read_about(shared_folder.weights_of(Path(run)).parent)
        check_kind(arguments.command, run, about["kind"] == shared_folder.TRANSLATOR)
        return
    if not run or checkpoint not in ("best", "last") or not os.path.isdir(run):
        return
    folder = Path(run)
    require_checkpoint(run)
    try:
        kind = flatten(run_folder.read_config(folder)).get("model._target_")
    except UserError:  # the checkpoint has another copy of the configuration
        return
    if kind == GAN or kind in TRANSLATORS:
        check_kind(arguments.command, run, kind in TRANSLATORS)


def require_checkpoint(run: str) -> None:
    """Raise UserError if a folder has no checkpoint."""
    folder = Path(run)
    if not checkpoints.list_checkpoints(folder):
        hint = run_folder.hint_inside(folder) or "is it a run folder, or a folder written by gan share?"
        raise UserError(f"{run}: no checkpoint in {folder / run_folder.CHECKPOINTS}; {hint}")


def check_kind(command: str, run: str, translates: bool) -> None:
    """Raise UserError if a command takes no translator, or only translators, and the model is the opposite."""
    if command == "translate" and not translates:
        raise UserError(f"{run}: is not a translator; use gan generate")
    if command in TAKES_LATENTS and translates:
        raise UserError(f"{run}: is a translator; use gan translate")


def device_name(text: str) -> str:
    """Return the name of a device; raise UserError if torch knows no such device, before torch is imported."""
    if not re.fullmatch(r"(cpu|mps|cuda(:\d+)?)", text):
        raise UserError(f"--device {text}: give cpu, cuda, cuda:1 or mps")
    return text


def thread_count(text: str) -> str:
    """Return auto or a whole number as text; raise UserError for other text, before torch is imported."""
    if text != "auto" and not (text.isdecimal() and int(text) > 0):
        raise UserError(f"--threads {text}: give auto or a number of at least 1")
    return text


def existing_path(text: str) -> Path:
    """Return a path; raise UserError if it does not exist, before torch is imported."""
    if not os.path.lexists(text):
        kind = "file" if Path(text).suffix else "folder"
        raise UserError(f"there is no {kind} {text!r}{path_hint(text) or ': check the path'}")
    return Path(text)


def existing_source(text: str) -> str:
    """Return a path or an address as text; raise UserError if a path does not exist, before torch is imported."""
    if not address.is_address(text):
        existing_path(text)
    return text


def existing_checkpoint(text: str) -> str:
    """Return best, last or the path of a checkpoint; raise UserError if it does not exist."""
    if text not in ("best", "last") and not Path(text).is_file():
        raise UserError(f"--checkpoint {text}: no such file; give best, last or a file{path_hint(text)}")
    return text


def load_model(arguments: argparse.Namespace) -> Model:
    """Return the model that RUN and the options of `add_weights` select, on the selected device."""
    if shows_bars():
        print(f"loading {arguments.run} ...", file=sys.stderr, flush=True)  # the next import takes seconds

    from gan import model

    return model.load_model(arguments.run, arguments.checkpoint, arguments.ema).to(prepare_device(arguments))


def prepare_device(arguments: argparse.Namespace) -> str:
    """Return the name of --device, and set --threads; raise UserError if torch cannot use one of them."""
    import torch

    from gan.common.threads import set_threads

    set_threads(arguments.threads, on_cpu=arguments.device == "cpu")
    name: str = arguments.device
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: torch cannot use it here; gan info lists the devices") from error
    return name


def out_in_run(run: str, out: Path | None, name: str) -> Path:
    """Return --out, or by default the file or folder `name` in the folder for results, see `results_of`."""
    if out is not None:
        return out
    if is_elsewhere(run):
        where = "a shared model" if shared_folder.is_shared(Path(run)) else "in object storage"
        reason = f"because {address.with_addresses(run)} is {where}"
        print(f"writing to {name} in the current folder, {reason}; --out changes this")
        return Path(name)
    if Path(run).is_file():
        raise UserError(f"{run}: is not a run folder; give --out DIR")
    return path_in(Path(run), Path(run) / name)


def results_of(run: str) -> Path:
    """Return the folder for results about a model: the run folder, or the current folder if the model is elsewhere."""
    return Path() if is_elsewhere(run) else Path(run)


def is_elsewhere(run: str) -> bool:
    """Return whether a model is a shared one, which may belong to someone else, or a copy of a run in the cache."""
    return shared_folder.is_shared(Path(run)) or remote_copies.is_copy(Path(run))


def recognition_folder(arguments: argparse.Namespace) -> Path:
    """Return the folder of the classifier: --recognition, or where gan recognize fit writes it."""
    given: Path | None = arguments.recognition
    return given or results_of(arguments.run) / run_folder.RECOGNITION


def refuse_existing(out: Path, files: list[Path], force: bool) -> None:
    """Raise UserError if --out is a file, or if one of `files` exists and `force` is not set."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; give a folder")
    if not force and (existing := [path for path in files if path.exists()]):
        raise UserError(
            f"{existing[0]}: exists already ({len(existing)} of {len(files)} files exist); use --force to overwrite"
        )


def refuse_existing_file(file: Path | None, option: str = "", instead: str = "use --force to overwrite") -> None:
    """Raise UserError if a file exists."""
    if file and file.exists():
        raise UserError(f"{option}{file}: exists already; {instead}")
