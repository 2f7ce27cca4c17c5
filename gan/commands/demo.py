"""Show models on a page in the browser: generate, edit, interpolate, project, translate, and watch training.

RUN is a run folder, a checkpoint file, a folder written by gan share, or hf://USER/NAME. Each of several models has its
own tab. Without a trained run of yours, the page begins with looks, which need no training. The page is on this machine
only, and Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gan.commands import options
from gan.models import address, shared_model
from gan.runs import run_folder
from gan.utils.errors import UserError, install
from gan.utils.output import one_line, print_line

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Request(options.Device):
    """What the page shows, and where."""

    runs: list[str]
    port: int | None
    host: str
    seamless: str | None

    def __post_init__(self) -> None:
        if self.port is not None and not 0 < self.port < 1 << 16:
            raise UserError(f"--port {self.port}: give a number from 1 to 65535")
        if find_spec("gradio") is None:
            raise UserError(f"gan demo needs Gradio: {install('demo')}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", type=options.existing_run,
                        help=f"{options.MODEL} (default: looks, which need no training)")  # fmt: skip
    parser.add_argument("--port", type=int, help="port of the page (default: 7860, or the next free one)")
    parser.add_argument("--host", default=HOST, help="address to listen on, such as 0.0.0.0 in a container; others "
                        "may then use the page, which has no password (default: %(default)s)")  # fmt: skip
    options.add_seamless(parser)
    options.add_device(parser)


def run(request: Request) -> None:
    runs = [str(address.locate(run)) for run in request.runs]
    names = [one_line(os.environ.get("SPACE_TITLE", run)) for run in request.runs]  # a Space shows one model
    for folder in runs:
        if Path(folder).is_dir():
            options.require_checkpoint(folder)

    from gan.demo import server

    with server.listen(request.host, request.port) as listener:
        print_line("loading ...")
        options.prepare_device(request)
        loaded = [load(run, name, request) for run, name in zip(runs, names, strict=True)]
        if request.host not in server.LOOPBACK:
            print("warning: everyone who can reach this machine can use the page; it has no password",
                  file=sys.stderr)  # fmt: skip
        server.serve(loaded, request.host, lambda at: print_line(f"{at}  (Ctrl-C ends it)"), listener)


def load(run: str, name: str, request: Request) -> Any:
    """Return a model for the page, with the run folder that it is in, if there is one."""
    from gan import api
    from gan.demo.models import PageModel

    path = Path(run)
    folder = next((folder for folder in (path, *path.absolute().parents) if run_folder.is_run(folder)), None)
    folder = None if shared_model.is_shared(path) else folder
    model = options.made_seamless(api.load(run, "best").to(request.device), request)
    shown = PageModel(name, folder, model)
    shown.add_directions()
    return shown
