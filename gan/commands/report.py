"""Write a report of runs as one HTML file to send: images, curves, scores, data and options."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gan.commands import options
from gan.models.address import path_in
from gan.report.page import is_report
from gan.runs.comparison import find_runs
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically

NAME = "report.html"
BEGINNING = 4096  # bytes of a file that show whether it is a report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", type=options.existing_source,
                        help="run folder, or folder of runs such as a sweep")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="HTML", help="file for the report (default: RUN/report.html; for "
                        "several runs, report.html in the current folder)")  # fmt: skip
    options.add_force(parser, "overwrite an existing file that is not a report")


def run(arguments: argparse.Namespace) -> None:
    found = find_runs(arguments.runs)
    out = arguments.out or (path_in(found[0], found[0] / NAME) if len(found) == 1 else Path(NAME))
    check_out(out, arguments.force)

    from gan.report.several_runs import build

    data = build([Path(name) for name in arguments.runs], found)
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
