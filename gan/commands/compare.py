"""Compare runs: a table of the options that differ, scores, speed and time, and curves of the metrics."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from gan.commands import options
from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.common.names import one_line
from gan.common.narrow import is_too_wide, print_stacked
from gan.common.nested import flatten
from gan.common.progress import duration
from gan.run import run_folder
from gan.run.metrics import read_metrics

# Options that do not change the result of a run.
IGNORED = ("logger", "callback", "metric", "data.num_workers", "objective", "resume")
MAX_CELL = 28  # characters
MAX_CURVES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or folder of runs such as a sweep")
    options.add_out(parser, "file for curves of the metrics over images and over time", required=False, metavar="PNG")
    parser.add_argument("--json", action="store_true", help="print a JSON object per run instead of the table")
    options.add_force(parser, "overwrite an existing PNG")


class Run(NamedTuple):
    """One run.

    Attributes:
        config: options by dotted names.
        lines: the lines of metrics.jsonl.
    """

    folder: Path
    config: dict[str, Any]
    lines: list[dict[str, Any]]

    @property
    def scores(self) -> dict[str, float]:
        """All scores of the evaluation with the best value of the run's objective."""
        objective = str(self.config.get("objective"))
        trained = [line for line in self.lines if line["images"] > 0]
        scored = [line for line in trained if math.isfinite(line.get(objective, math.nan))]
        best = min(scored, key=lambda line: line[objective]) if scored else {}
        return {name: best.get(name, math.nan) for name in best if name.startswith("eval/")}

    @property
    def clock(self) -> list[float]:
        """Seconds of training up to each line, without the time between an interruption and its resume."""
        rate, rates = math.inf, []
        for line in reversed(self.lines):  # the first line after a start has no rate: use that of the next line
            measured = line.get("time/images_per_second", math.nan)
            rate = measured if measured > 0 else rate
            rates.append(rate)
        images = [0, *(line["images"] for line in self.lines)]
        steps = [
            (now - then) / (rate or math.inf)
            for then, now, rate in zip(images, images[1:], reversed(rates), strict=False)
        ]
        return list(itertools.accumulate(steps))


def run(arguments: argparse.Namespace) -> None:
    if not arguments.force:
        options.refuse_existing_file(arguments.out, "--out ")
    found = [load(folder) for folder in find_runs(arguments.runs)]
    names = differing_options(found)
    table = [summary(one, names) for one in found]
    if arguments.out:
        plot(found, arguments.out)
    if arguments.json:
        print("\n".join(json.dumps(row) for row in table))
    else:
        print_table(table)
        if arguments.out:
            print(f"curves: {arguments.out}")


def find_runs(given: list[str]) -> list[Path]:
    """Return the run folders: each given path, or the run folders in it."""
    found: list[Path] = []
    for name in given:
        path = Path(name)
        inside = (
            [path]
            if (path / run_folder.CONFIG).is_file()
            else sorted(p.parent for p in path.glob(f"*/{run_folder.CONFIG}"))
        )
        if not inside:
            raise UserError(f"{path}: neither a run folder nor a folder of runs")
        found += inside
    return list(dict.fromkeys(found))


def load(folder: Path) -> Run:
    return Run(folder, flatten(run_folder.read_config(folder)), read_metrics(folder / run_folder.METRICS))


def differing_options(found: list[Run]) -> list[str]:
    """Return the options that differ between runs.

    If options always change together, return only the one with the shortest name.
    """
    names = sorted({name for one in found for name in one.config})
    names = [name for name in names if not name.startswith(IGNORED)]
    values = {name: [json.dumps(one.config.get(name), default=str) for one in found] for name in names}
    different = [name for name in names if len(set(values[name])) > 1]
    shortest = sorted(different, key=lambda name: (name.count("."), len(name)))
    kept = {json.dumps(values[name]): name for name in reversed(shortest)}
    return [name for name in different if name in kept.values()]


def summary(one: Run, names: list[str]) -> dict[str, Any]:
    """Return the row of a run in the table, by heading. `names` are the options to show."""
    measured = (line.get("time/images_per_second", math.nan) for line in one.lines)
    rates = sorted(rate for rate in measured if math.isfinite(rate))
    return {
        "run": str(one.folder),
        **{name: one.config.get(name) for name in names},
        **one.scores,
        "images seen": max((line["images"] for line in one.lines), default=0),
        "images/s": round(rates[len(rates) // 2], 1) if rates else None,
        "seconds": round(one.clock[-1], 1) if one.lines else 0.0,
    }


def print_table(table: list[dict[str, Any]]) -> None:
    """Print a row per run, with columns as wide as needed; in a narrow terminal, a block per run."""
    names = list(dict.fromkeys(name for row in table for name in row))
    headings = ["time" if name == "seconds" else one_line(short(name, names)) for name in names]
    rows = [[one_line(cell(name, row.get(name))) for name in names] for row in table]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    if is_too_wide(" " * (sum(widths) + 2 * len(widths) - 2)):
        print_stacked(headings, rows)
        return
    for row in [headings, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def short(name: str, names: list[str]) -> str:
    """Return the shortest unique tail of a dotted name."""
    parts = name.removeprefix("eval/").removesuffix("._target_").split(".")
    for count in range(1, len(parts)):
        tail = ".".join(parts[-count:])
        if sum(other.removesuffix("._target_").endswith(f".{tail}") for other in names) == 1:
            return tail
    return ".".join(parts)


def cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "seconds":
        return duration(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if name.endswith("_target_"):
        value = str(value).rpartition(".")[2]
    text = f"{value:,}" if name == "images seen" else str(value)
    return text if len(text) <= MAX_CELL or name == "run" else "..." + text[3 - MAX_CELL :]


def plot(found: list[Run], path: Path) -> None:
    """Plot each metric over images and over minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = sorted({name for one in found for line in one.lines for name in line if name.startswith("eval/")})
    if not names:
        raise UserError("--out: no run has an evaluation, so there are no curves")
    if len(names) > MAX_CURVES:
        raise UserError(f"--out: {len(names):,} metrics are too many to plot; give fewer runs")
    figure, axes = pyplot.subplots(
        len(names), 2, figsize=(10, 2.4 * len(names)), sharey="row", squeeze=False, layout="constrained"
    )
    for row, name in zip(axes, names, strict=True):
        for one in found:
            points = [
                (line["images"], t / 60, line.get(name, math.nan))
                for line, t in zip(one.lines, one.clock, strict=True)
                if name in line
            ]
            images, minutes, values = zip(*points, strict=True) if points else ((), (), ())
            label = one.folder.name.replace("$", r"\$") if points else None
            row[0].plot(images, values, marker=".", label=label)
            row[1].plot(minutes, values, marker=".")
        row[0].set_ylabel(one_line(name.removeprefix("eval/")), parse_math=False)
    axes[-1][0].set_xlabel("images seen")
    axes[-1][1].set_xlabel("minutes of training")
    if len(found) > 1:
        axes[0][0].legend(fontsize="small")
    try:
        with writing(f"--out {path}"):
            write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
    finally:
        pyplot.close(figure)
