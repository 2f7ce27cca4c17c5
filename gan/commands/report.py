"""Write a report of a run as one HTML file to send: images, curves, scores, data and options."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gan.commands import options
from gan.models.shared_model import path_in
from gan.report.page import is_report
from gan.runs.comparison import find_runs
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically

NAME = "report.html"
BEGINNING = 4096  # bytes of a file that show whether it is a report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=options.existing_source, help="run folder")
    parser.add_argument("--out", type=Path, metavar="HTML", help="file for the report (default: RUN/report.html)")
    options.add_force(parser, "overwrite an existing file that is not a report")


def run(arguments: argparse.Namespace) -> None:
    folder, *others = find_runs([arguments.run])
    if others:
        raise UserError(f"{arguments.run}: has several runs; give one of them, or compare them with gan compare")
    out = arguments.out or path_in(folder, folder / NAME)
    check_out(out, arguments.force)

    from gan.report.one_run import build

    data = build(folder)
    with writing(f"--out {out}"):
        write_atomically(out, lambda file: file.write(data))
    print(f"report: {out} ({len(data) / 1e6:.1f} MB)")


def check_out(out: Path, force: bool) -> None:
    """Raise UserError if --out exists and is not an earlier report, without `force`."""
    if not os.path.lexists(out) or force:
        return
    if out.is_file():
        with open(out, "rb") as file:
            if is_report(file.read(BEGINNING)):
                return
    raise UserError(f"--out {out}: exists already and is not a report; use --force to overwrite it")
