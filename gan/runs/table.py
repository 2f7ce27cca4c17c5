"""The table of several runs, or of means over seeds: as text, CSV, Markdown and LaTeX. No torch."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gan.runs.comparison import Run, cell, differing_options, summary
from gan.scores import Score, meaning
from gan.utils.option_values import short_name
from gan.utils.output import one_line, print_aligned

SEED = "seed"
Row = dict[str, Any]  # values by the full names of options and scores


class Spread(NamedTuple):
    """The values of a score over seeds."""

    mean: float
    deviation: float  # standard deviation of a sample; NaN for one value

    def __str__(self) -> str:
        if not self.deviation:
            return f"{self.mean:.4g} ± 0"
        if math.isnan(self.deviation):
            return f"{self.mean:.4g}"
        decimals = max(0, 1 - math.floor(math.log10(self.deviation)))  # two significant digits of the deviation
        return f"{self.mean:.{decimals}f} ± {self.deviation:.{decimals}f}"


def of_runs(runs: Sequence[Run]) -> list[Row]:
    """Return a row per run with the options in which the runs differ, the best run first."""
    names = differing_options(list(runs))
    return ranked([summary(run, names) for run in runs], runs)


def over_seeds(runs: Sequence[Run]) -> list[Row]:
    """Return a row per combination of options, with the `Spread` of each score over seeds; [] if no seed differs."""
    names = differing_options(list(runs), without=SEED)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.option(name) for name in names], default=str), []).append(run)
    if all(len({run.option(SEED) for run in group}) == 1 for group in groups.values()):
        return []
    rows = []
    for group in groups.values():
        row: Row = {name: group[0].option(name) for name in names} | {"runs": sum(bool(run.scores) for run in group)}
        for score in dict.fromkeys(score for run in group for score in run.scores):
            values = [run.scores[score] for run in group if score in run.scores]
            row[score] = Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan)
        rows.append(row)
    return ranked(rows, runs)


def ranked(rows: list[Row], runs: Sequence[Run]) -> list[Row]:
    """Return the rows with the best value of the runs' objective first, and those without one last.

    Rows of runs with several objectives stay as they are.
    """
    objectives = {run.objective for run in runs}
    if len(objectives) > 1:
        return rows
    (objective,) = objectives

    def order(row: Row) -> float:
        value = row.get(objective.name, math.nan)
        value = value.mean if isinstance(value, Spread) else value
        return math.inf if math.isnan(value) else objective.sign * value

    return sorted(rows, key=order)


# ---- Formats


def print_text(rows: list[Row], over_seeds: list[Row]) -> None:
    print_rows(rows)
    if over_seeds:
        print("\nmean ± standard deviation over seeds:")
        print_rows(over_seeds)


def print_rows(rows: list[Row]) -> None:
    headings, *texts = cells(rows)
    print_aligned(headings, texts)


def to_csv(rows: list[Row]) -> str:
    """Return the rows as CSV with full names; the mean and the standard deviation have a column each."""
    split: list[Row] = [{} for _ in rows]
    for row, parts in zip(rows, split, strict=True):
        for name, value in row.items():
            if isinstance(value, Spread):
                parts |= {name: value.mean, f"{name} sd": value.deviation}
            else:
                parts[name] = value
    file = io.StringIO()
    writer = csv.DictWriter(file, columns(split), lineterminator="\n")
    writer.writeheader()
    writer.writerows(split)
    return file.getvalue()


def to_markdown(rows: list[Row], meanings: Mapping[str, Score]) -> str:
    table = cells(rows, meanings, lambda value: value.replace("|", "\\|"))
    lines = [f"| {' | '.join(line)} |" for line in table]
    return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]])


def to_latex(rows: list[Row], meanings: Mapping[str, Score]) -> str:
    """Return the rows as a tabular of LaTeX, which needs the package booktabs."""
    table = cells(rows, meanings, in_latex)
    lines = [" & ".join(line) + r" \\" for line in table]
    begin = rf"\begin{{tabular}}{{{'l' * len(table[0])}}}"
    return "\n".join([begin, r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}"])


def cells(
    rows: list[Row], meanings: Mapping[str, Score] | None = None, write: Callable[[str], str] = str
) -> list[list[str]]:
    """Return the headings and the texts of all rows. Scores have their titles if each title is that of one score."""
    names = columns(rows)
    titles = {name: meaning(name, meanings or {}).title for name in names if name.startswith("eval/")}
    known = {name: title for name, title in titles.items() if list(titles.values()).count(title) == 1}
    known["seconds"] = "time"
    headings = [known.get(name) or short_name(name.removeprefix("eval/"), names) for name in names]
    table = [headings, *([cell(name, row.get(name)) for name in names] for row in rows)]
    return [[write(one_line(value)) for value in line] for line in table]


def in_latex(value: str) -> str:
    value = re.sub(r"([&%$#_{}])", r"\\\1", value.replace("\\", "/"))
    return value.replace("~", r"\~{}").replace("^", r"\^{}").replace("±", r"$\pm$").replace("×", r"$\times$")


def columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
