"""Show models on a page in the browser: generate, edit, interpolate, project, translate, and watch training.

RUN is a run folder, a checkpoint file, a folder written by gan share, or hf://USER/NAME. Each of several models (at
most 8) has its own tab; the tab Compare shows them side by side. Without RUN, the page has looks, color maps, palettes
and pixel art, which need no training, and the newest run in runs/ if there is one. The page is on this machine only,
and Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.commands import options, translators
from gan.common.errors import UserError, install
from gan.common.output import one_line, print_line
from gan.inference.resolve import folder_of
from gan.run import address, checkpoints, run_folder, shared_model
from gan.sharing.demo import limits

RUNS = Path("runs")
HOST = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", type=existing_run,
                        help=f"{options.MODEL} (default: looks and other tools without training, and the newest run in "
                        f"{RUNS}/)")  # fmt: skip
    translators.add_fit(parser, "RUN")
    parser.add_argument("--port", type=port, help="port of the page (default: 7860, or the next free one)")
    parser.add_argument("--host", default=HOST, help="address to listen on, such as 0.0.0.0 in a container; others "
                        "may then use the page, which has no password (default: %(default)s)")  # fmt: skip
    options.add_device(parser)


def prepare(arguments: argparse.Namespace) -> None:
    """Check the folders of --fit."""
    translators.check_fit(arguments)


def run(arguments: argparse.Namespace) -> None:
    if len(arguments.runs) > limits.MAX_MODELS:
        raise UserError(f"{len(arguments.runs)} runs are too many for one page; give at most {limits.MAX_MODELS}")
    runs = [str(address.locate(run)) for run in arguments.runs]
    names = [one_line(run) for run in arguments.runs]
    if not (runs or arguments.fit) and (newest := newest_run()):
        runs = names = [str(newest)]
        print_line(f"showing {newest}, the newest run in {RUNS}/")
    for each in runs:
        check(each)
    if find_spec("gradio") is None:
        raise UserError(f"gan demo needs Gradio: {install('demo')}")

    from gan.sharing.demo import server
    from gan.sharing.demo.models import Content

    with server.listen(arguments.host, arguments.port) as listener:
        print_line("loading ...")
        options.prepare_device(arguments)
        models = [load(run, name, arguments.device) for run, name in zip(runs, names, strict=True)]
        fitted = fit(arguments) if arguments.fit else None
        if arguments.host not in server.LOOPBACK:
            print("warning: everyone who can reach this machine can use the page; it has no password",
                  file=sys.stderr)  # fmt: skip
        content = Content(models, not arguments.runs or bool(arguments.fit), fitted)
        server.serve(content, arguments.host, lambda at: print_line(f"{at}  (Ctrl-C ends it)"), listener)


def fit(arguments: argparse.Namespace) -> Any:
    """Return the color map of --fit."""
    from gan.inference.closed_form import choose_for_folders
    from gan.sharing.demo.models import Fitted

    photographs, retro = arguments.fit
    choice = choose_for_folders(photographs, retro, arguments.map, arguments.position)
    return Fitted(choice, f"{one_line(photographs)} and {one_line(retro)}")


def existing_run(text: str) -> str:
    """Return a path; raise UserError if there is no run or checkpoint."""
    if options.names_look(text):
        raise UserError(f"{text}: is a look; give no RUN: the page then has a tab for looks and color tables")
    return options.existing_run(text)


def port(text: str) -> int:
    """Return the number of a port; raise UserError for other text."""
    if text.isdecimal() and 0 < int(text[:6]) < 1 << 16:
        return int(text)
    raise UserError(f"--port {text}: give a number from 1 to 65535")


def newest_run() -> Path | None:
    """Return the run in RUNS with the newest checkpoint, or if none has one, the newest run; None without runs."""
    found = run_folder.find_runs(RUNS) if RUNS.is_dir() else []
    saved = {run: paths[-1] for run in found if (paths := checkpoints.list_checkpoints(run))}
    dated = saved or {run: run / run_folder.CONFIG for run in found}
    return max(dated, key=lambda run: dated[run].stat().st_mtime, default=None)


def check(run: str) -> None:
    """Raise UserError if a folder is neither a run nor a shared model, before torch is imported."""
    folder = Path(run)
    if shared_model.is_shared(folder):
        shared_model.read_about(shared_model.weights_of(folder).parent)
    elif folder.is_dir() and folder_of(folder) is None:
        options.require_checkpoint(run)


def load(run: str, name: str, device: str) -> Any:
    """Return a model for the page. A run without a checkpoint shows its training only."""
    from gan import api
    from gan.sharing.demo.models import PageModel

    path = Path(run)
    own = next((folder for folder in (path, *path.absolute().parents) if run_folder.is_run(folder)), None)
    own = None if shared_model.is_shared(path) else own

    def newest() -> Any:
        return api.load(run, "best").to(device)

    model = None if own == path and not checkpoints.list_checkpoints(path) else newest()
    shown = PageModel(name, path, own, model, lambda: api.load(run, "last").to(device))
    shown.add_directions()
    return shown
