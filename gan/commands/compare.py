"""Compare runs: a table of the options that differ, scores, speed and time, and curves of the metrics."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gan.commands import options
from gan.report.charts import Line, Panel, draw
from gan.runs.comparison import Run, cell, differing_options, find_named, labels, load, summary
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing, write_atomically
from gan.utils.option_values import short_name
from gan.utils.output import first_few, one_line, print_aligned, print_line

MAX_CURVES = 50
MAX_LISTED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or folder of runs such as a sweep")
    options.add_out(parser, "file for curves of the metrics over images and over time", required=False, metavar="PNG")
    parser.add_argument("--json", action="store_true", help="print a JSON object per run instead of the table")
    options.add_force(parser, "overwrite an existing PNG")


def run(arguments: argparse.Namespace) -> None:
    refuse_existing([arguments.out] if arguments.out else [], arguments.force, "--out ")
    found = trained(find_named(arguments.runs))
    names = differing_options(found)
    table = [summary(one, names) for one in found]
    if arguments.out:
        plot(found, labels(found, names), arguments.out)
    if arguments.json:
        print("\n".join(json.dumps(row) for row in table))
    else:
        print_table(table)
        if arguments.out:
            print_line(f"curves: {arguments.out}")


def trained(folders: list[Path]) -> list[Run]:
    """Return the runs that have trained, and print a line about the others; raise UserError if there is none."""
    runs, others = [], []
    for folder in folders:
        try:
            run = load(folder)
        except UserError as error:
            others.append(str(error))
            continue
        if run.log.images:
            runs.append(run)
        else:
            others.append(f"{folder}: never trained")
    if not runs:
        raise UserError(f"{others[0]}; no other run can be compared")
    if others:
        print(one_line(f"note: left out: {first_few(others, MAX_LISTED)}"), file=sys.stderr)
    return runs


def print_table(table: list[dict[str, Any]]) -> None:
    """Print a row per run, with columns as wide as needed."""
    names = list(dict.fromkeys(name for row in table for name in row))
    titles = [short_name(name.removeprefix("eval/"), names) for name in names]
    headings = ["time" if name == "seconds" else one_line(title) for name, title in zip(names, titles, strict=True)]
    rows = [[one_line(cell(name, row.get(name))) for name in names] for row in table]
    print_aligned(headings, rows)


def plot(found: list[Run], names: list[str], path: Path) -> None:
    """Plot each metric over images and over minutes, with one legend of the runs' names beside the panels."""
    metrics = sorted({name for one in found for name in one.log.curves if name.startswith("eval/")})
    if not metrics:
        raise UserError("--out: no run has an evaluation, so there are no curves")
    if len(metrics) > MAX_CURVES:
        raise UserError(f"--out: {len(metrics):,} metrics are too many to plot; give fewer runs")
    panels = []
    for metric in metrics:
        runs = zip(found, names, strict=True)
        lines = [Line(name, one.log.curves.get(metric, ()), n) for n, (one, name) in enumerate(runs)]
        panels.append(Panel(metric.removeprefix("eval/"), lines))
    figure = draw(panels, together=True)
    with writing(f"--out {path}"):
        write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
