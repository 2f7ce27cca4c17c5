"""Compare runs: what differs in their configuration, their scores, speed and time, and curves of their metrics."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.common.names import one_line
from gan.common.nested import flatten
from gan.common.progress import duration
from gan.run import run_folder
from gan.run.metrics import read_metrics

# What says where and how long a run was, not what it was.
INCIDENTAL = ("logger", "callback", "metric", "data.num_workers", "objective", "resume")
WIDEST = 28  # letters of a cell
MOST_CURVES = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, or folders of runs such as a sweep's")
    parser.add_argument("--out", type=Path, metavar="PNG", help="curves of the metrics over images and over time")
    parser.add_argument("--json", action="store_true", help="a JSON object a run instead of the table")
    parser.add_argument("--force", action="store_true", help="write over a PNG that exists")


class Run(NamedTuple):
    """What is known of one run."""

    folder: Path
    config: dict[str, Any]  # flat, by dotted names
    lines: list[dict[str, Any]]  # of metrics.jsonl

    @property
    def scores(self) -> dict[str, float]:
        """All scores of the evaluation that was best by the run's objective."""
        objective = str(self.config.get("objective"))
        trained = [line for line in self.lines if line["images"] > 0]
        scored = [line for line in trained if math.isfinite(line.get(objective, math.nan))]
        best = min(scored, key=lambda line: line[objective]) if scored else {}
        return {name: best.get(name, math.nan) for name in best if name.startswith("eval/")}

    @property
    def clock(self) -> list[float]:
        """Seconds of training up to each line: those between two starts of a resumed run do not count."""
        rate, rates = math.inf, []
        for line in reversed(self.lines):  # the first line of a start has no rate: it takes that of the next
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
    if arguments.out and arguments.out.exists() and not arguments.force:
        raise UserError(f"--out {arguments.out}: exists already; --force writes over it")
    found = [load(folder) for folder in folders(arguments.runs)]
    options = differing(found)
    table = [summary(one, options) for one in found]
    if arguments.out:
        plot(found, arguments.out)
    if arguments.json:
        print("\n".join(json.dumps(row) for row in table))
    else:
        print_table(table)
        if arguments.out:
            print(f"curves: {arguments.out}")


def folders(given: list[str]) -> list[Path]:
    """The run folders that are meant: each of the given, or those in it."""
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


def differing(found: list[Run]) -> list[str]:
    """The options that are not the same in all runs; one that only follows from another of them is left out."""
    names = sorted({name for one in found for name in one.config})
    names = [name for name in names if not name.startswith(INCIDENTAL)]
    values = {name: [json.dumps(one.config.get(name), default=str) for one in found] for name in names}
    different = [name for name in names if len(set(values[name])) > 1]
    shortest = sorted(different, key=lambda name: (name.count("."), len(name)))
    kept = {json.dumps(values[name]): name for name in reversed(shortest)}  # of those that go together, the shortest
    return [name for name in different if name in kept.values()]


def summary(one: Run, options: list[str]) -> dict[str, Any]:
    measured = (line.get("time/images_per_second", math.nan) for line in one.lines)
    rates = sorted(rate for rate in measured if math.isfinite(rate))
    return {
        "run": str(one.folder),
        **{name: one.config.get(name) for name in options},
        **one.scores,
        "images seen": max((line["images"] for line in one.lines), default=0),
        "images/s": round(rates[len(rates) // 2], 1) if rates else None,
        "seconds": round(one.clock[-1], 1) if one.lines else 0.0,
    }


def print_table(table: list[dict[str, Any]]) -> None:
    """A row a run, as wide as it must be."""
    names = list(dict.fromkeys(name for row in table for name in row))
    headings = ["time" if name == "seconds" else one_line(short(name, names)) for name in names]
    rows = [[one_line(cell(name, row.get(name))) for name in names] for row in table]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in [headings, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def short(name: str, names: list[str]) -> str:
    """As many last parts of a dotted name as tell it from the others."""
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
    return text if len(text) <= WIDEST or name == "run" else "..." + text[3 - WIDEST :]


def plot(found: list[Run], path: Path) -> None:
    """A row of axes a metric: over images, over minutes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = sorted({name for one in found for line in one.lines for name in line if name.startswith("eval/")})
    if not names:
        raise UserError("none of the runs has an evaluation; there are no curves to draw")
    if len(names) > MOST_CURVES:
        raise UserError(f"{len(names):,} different scores are more than can be drawn; give fewer runs")
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
