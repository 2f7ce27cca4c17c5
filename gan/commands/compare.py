"""Compare runs: a table of the options that differ, scores, speed and time, and curves of the metrics."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from gan.commands import options
from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.common.names import one_line
from gan.common.narrow import is_too_wide, print_stacked
from gan.common.nested import flatten, short_name
from gan.common.progress import duration
from gan.common.table import aligned, first_few, shortened, truncated
from gan.run import run_folder
from gan.run.metrics import read_metrics

# Options that do not change the result of a run.
IGNORED = ("logger", "callback", "metric", "data.num_workers", "objective", "resume")
MAX_CELL = 28  # characters
MAX_CURVES = 50
MAX_LABEL = 80  # characters in the legend
MAX_LISTED = 5
LINES = ("-", "--", ":", "-.")  # beyond ten runs, colors repeat with other lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or folder of runs such as a sweep")
    options.add_out(parser, "file for curves of the metrics over images and over time", required=False, metavar="PNG")
    parser.add_argument("--json", action="store_true", help="print a JSON object per run instead of the table")
    options.add_force(parser, "overwrite an existing PNG")


class Run(NamedTuple):
    """One run.

    Attributes:
        config: options by dotted names.
        choices: the options that the user has typed, with groups such as model.
        lines: the lines of metrics.jsonl.
    """

    folder: Path
    config: dict[str, Any]
    choices: dict[str, Any]
    lines: list[dict[str, Any]]

    def option(self, name: str) -> Any:
        """Return the value of an option or a typed group; None if the run has no such option."""
        return self.config.get(name, self.choices.get(name))

    @property
    def scores(self) -> dict[str, float]:
        """All scores of the evaluation with the best value of the run's objective."""
        objective = str(self.config.get("objective"))
        trained = [line for line in self.lines if line["images"] > 0]
        scored = [line for line in trained if math.isfinite(line.get(objective, math.nan))]
        best = min(scored, key=lambda line: line[objective]) if scored else {}
        return {name: best.get(name, math.nan) for name in best if name.startswith("eval/")}

    @property
    def images(self) -> int:
        return max((line["images"] for line in self.lines), default=0)

    @property
    def seconds(self) -> float:
        """Seconds of training, without evaluations and pauses; NaN for a run of an older version."""
        return max(
            (clock for line in self.lines if 0 <= (clock := line.get("seconds", -1)) < math.inf), default=math.nan
        )


def run(arguments: argparse.Namespace) -> None:
    if not arguments.force:
        options.refuse_existing_file(arguments.out, "--out ")
    found = trained(readable(find_runs(arguments.runs)))
    names = differing_options(found)
    table = [summary(one, names) for one in found]
    if arguments.out:
        plot(found, labels(found, names), arguments.out)
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
            else sorted((p.parent for p in path.glob(f"*/{run_folder.CONFIG}")), key=natural)
        )
        if not inside:
            raise UserError(f"{path}: neither a run folder nor a folder of runs")
        found += inside
    return list(dict.fromkeys(found))


def natural(folder: Path) -> tuple[int, int, str]:
    """Return a key that sorts the jobs of a sweep by number, then other names."""
    name = folder.name
    return (0, int(name), "") if name.isdecimal() and len(name) < 10 else (1, 0, name)


def load(folder: Path) -> Run:
    config, choices = flatten(run_folder.read_config(folder)), run_folder.read_choices(folder)
    return Run(folder, config, choices, read_metrics(folder / run_folder.METRICS))


def readable(folders: list[Path]) -> list[Run]:
    """Return the runs in folders, and print a line about each that cannot be read.

    Raises:
        UserError: none can be read.
    """
    found, errors = [], []
    for folder in folders:
        try:
            found.append(load(folder))
        except UserError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    for each in errors:
        print(f"note: left out: {one_line(str(each))}", file=sys.stderr)
    return found


def trained(found: list[Run]) -> list[Run]:
    """Return the runs that have trained, and print a line about the others.

    Raises:
        UserError: none has trained.
    """
    kept = [one for one in found if one.images > 0]
    if not kept:
        raise UserError(
            f"{found[0].folder}{' and the other runs' * (len(found) > 1)}: never trained; nothing to compare"
        )
    if len(kept) < len(found):
        left = [str(one.folder) for one in found if one.images == 0]
        text = f"note: runs that never trained are left out: {first_few(left, MAX_LISTED)}"
        print(one_line(text), file=sys.stderr)
    return kept


def differing_options(found: list[Run]) -> list[str]:
    """Return the options that differ between runs: the typed ones if they explain all differences.

    If options always change together, return only the one with the shortest name.
    """
    typed = differing(found, {name for one in found for name in one.choices})
    rest: dict[str, list[Run]] = {}
    for one in found:
        rest.setdefault(json.dumps([one.option(name) for name in typed], default=str), []).append(one)
    every = {name for one in found for name in one.config if not name.endswith("_partial_")}
    names = every if any(differing(alike, every) for alike in rest.values()) else typed
    names = differing(found, names)
    values = {name: json.dumps([one.option(name) for one in found], default=str) for name in names}
    shortest = sorted(names, key=lambda name: (name.count("."), len(name)))
    kept = {values[name]: name for name in reversed(shortest)}
    return [name for name in names if name in kept.values()]


def differing(found: list[Run], names: Collection[str]) -> list[str]:
    """Return the names of options whose values differ between runs, sorted, except those in IGNORED."""
    used = sorted(name for name in names if not name.startswith(IGNORED))
    return [name for name in used if len({json.dumps(one.option(name), default=str) for one in found}) > 1]


def summary(one: Run, names: list[str]) -> dict[str, Any]:
    """Return the row of a run in the table, by heading. `names` are the options to show."""
    return {
        "run": str(one.folder),
        **{name: one.option(name) for name in names},
        **one.scores,
        "images seen": one.images,
        "images/s": round(one.images / one.seconds, 1) if one.seconds > 0 else None,
        "seconds": round(one.seconds, 1) if one.seconds >= 0 else None,
    }


def print_table(table: list[dict[str, Any]]) -> None:
    """Print a row per run, with columns as wide as needed; in a narrow terminal, a block per run."""
    names = list(dict.fromkeys(name for row in table for name in row))
    headings = ["time" if name == "seconds" else one_line(heading(name, names)) for name in names]
    rows = [[one_line(cell(name, row.get(name))) for name in names] for row in table]
    lines = aligned(headings, rows)
    if is_too_wide(max(lines, key=len)):
        print_stacked(headings, rows)
    else:
        print("\n".join(lines))


def heading(name: str, names: list[str]) -> str:
    return short_name(name.removeprefix("eval/"), names)


def labels(found: list[Run], names: list[str]) -> list[str]:
    """Return a short unique name of each run for a picture: its options that differ, or else also its folder."""
    shown = {name: abbreviated(short_name(name, names)) for name in names}
    made = []
    for one in found:
        options = ", ".join(f"{shown[name]}={cell(name, one.option(name))}" for name in names)
        made.append(truncated(one_line(options), MAX_LABEL))
    return [
        text if text and made.count(text) == 1 else truncated(one_line(f"{one.folder.name} {text}".rstrip()), MAX_LABEL)
        for one, text in zip(found, made, strict=True)
    ]


def abbreviated(name: str) -> str:
    """Return a dotted name with short parents, such as discr.lr."""
    *parents, last = name.split(".")
    return ".".join([*(parent[:5] for parent in parents), last])


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
    return text if name == "run" else shortened(text, MAX_CELL)


def plot(found: list[Run], names: list[str], path: Path) -> None:
    """Plot each metric over images and over minutes, with one legend of the runs' names beside the panels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metrics = sorted({name for one in found for line in one.lines for name in line if name.startswith("eval/")})
    if not metrics:
        raise UserError("--out: no run has an evaluation, so there are no curves")
    if len(metrics) > MAX_CURVES:
        raise UserError(f"--out: {len(metrics):,} metrics are too many to plot; give fewer runs")
    height = max(2.4 * len(metrics), 0.5 + 0.19 * len(found))  # inches, of the panels or of the legend
    width = 10 + (0.4 + 0.075 * max(map(len, names)) if len(found) > 1 else 0)
    figure, axes = pyplot.subplots(
        len(metrics), 2, figsize=(width, height), sharex="col", sharey="row", squeeze=False, layout="constrained"
    )
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for n, one in enumerate(found):
        style = {"color": colors[n % 10], "linestyle": LINES[n // 10 % len(LINES)], "marker": "."}
        for row, name in zip(axes, metrics, strict=True):
            points = [
                (line["images"], line.get("seconds", math.nan) / 60, line[name]) for line in one.lines if name in line
            ]
            images, minutes, values = zip(*points, strict=True) if points else ((), (), ())
            row[0].plot(images, values, **style)
            row[1].plot(minutes, values, **style)
    for row, name in zip(axes, metrics, strict=True):
        row[0].set_ylabel(one_line(name.removeprefix("eval/")), parse_math=False)
    for axis in axes[-1]:  # all panels begin with the first image
        axis.set_xlim(-0.03 * axis.get_xlim()[1], axis.get_xlim()[1])
    axes[-1][0].set_xlabel("images seen")
    axes[-1][1].set_xlabel("minutes of training, without evaluations")
    if len(found) > 1:
        scored = [n for n, one in enumerate(found) if any(name in line for line in one.lines for name in metrics)]
        texts = [names[n].replace("$", r"\$") for n in scored]
        figure.legend(
            [axes[0][0].lines[n] for n in scored], texts, loc="outside right upper", fontsize="small", frameon=False
        )
    try:
        with writing(f"--out {path}"):
            write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
    finally:
        pyplot.close(figure)
