"""Write a report of a run as one HTML file to send: images, curves, scores, data and options."""

from __future__ import annotations

import argparse
from pathlib import Path

from gan.commands import options
from gan.models.shared_model import path_in
from gan.runs.comparison import find_named
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing, write_bytes
from gan.utils.output import print_line

NAME = "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=options.existing_source, help="run folder")
    parser.add_argument("--out", type=Path, metavar="HTML", help="file for the report (default: RUN/report.html)")
    options.add_force(parser, "overwrite an existing file")


def run(arguments: argparse.Namespace) -> None:
    folder, *others = find_named([arguments.run])
    if others:
        raise UserError(f"{arguments.run}: has several runs; give one of them, or compare them with gan compare")
    out = arguments.out or path_in(folder, folder / NAME)
    refuse_existing([out], arguments.force, "--out ")

    from gan.report.one_run import build

    data = build(folder)
    with writing(f"--out {out}"):
        write_bytes(out, data)
    print_line(f"report: {out} ({len(data) / 1e6:.1f} MB)")
