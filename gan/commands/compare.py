"""Compare runs: a table of the options that differ, scores, speed and time, and curves of the metrics."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gan.commands import options
from gan.report.charts import Line, Panel, draw
from gan.runs import table
from gan.runs.comparison import Run, differing_options, find_trained, labels
from gan.utils.errors import UserError, writing
from gan.utils.files import refuse_existing, write_atomically
from gan.utils.output import print_line

MAX_CURVES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or folder of runs such as a sweep")
    options.add_out(parser, "file for curves of the metrics over images and over time", required=False, metavar="PNG")
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print a JSON object per run instead of the table")
    for name, text in (("csv", "as CSV"), ("markdown", "in Markdown"), ("latex", "as a tabular of LaTeX")):
        formats.add_argument(f"--{name}", action="store_true", help=f"print the table {text}: mean and standard "
                             "deviation over seeds if runs differ in the seed, otherwise a row per run")  # fmt: skip
    options.add_force(parser, "overwrite an existing PNG")


def run(arguments: argparse.Namespace) -> None:
    refuse_existing([arguments.out] if arguments.out else [], arguments.force, "--out ")
    found = find_trained(arguments.runs)
    if arguments.out:
        plot(found, labels(found, differing_options(found)), arguments.out)
    rows, over_seeds = table.of_runs(found), table.over_seeds(found)
    if arguments.json:
        print("\n".join(json.dumps(row) for row in rows))
    elif arguments.csv:
        print(table.to_csv(over_seeds or rows), end="")
    elif arguments.markdown:
        print(table.to_markdown(over_seeds or rows, found[0].meanings))
    elif arguments.latex:
        print(table.to_latex(over_seeds or rows, found[0].meanings))
    else:
        table.print_text(rows, over_seeds)
        if arguments.out:
            print_line(f"curves: {arguments.out}")


def plot(found: list[Run], names: list[str], path: Path) -> None:
    """Plot each metric over images and over minutes, first the objective, with one legend below the panels."""
    scored = [(name, points) for one in found for name, points in one.log.curves.items() if name.startswith("eval/")]
    if not scored:
        raise UserError("--out: no run has an evaluation, so there are no curves")
    # A point alone is no curve, so it is shown only if there is nothing else.
    curves = {name for name, points in scored if len(points) > 1} or {name for name, _ in scored}
    metrics = sorted(curves, key=lambda name: (name != found[0].objective.name, name))
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
