"""Draw parallel coordinates: a vertical axis per option and one for the objective, a line per run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from gan.common.output import shortened
from gan.sharing.report.charts import Scale, short, ticks
from gan.sharing.report.markup import Html, tag

HEIGHT, TOP, BOTTOM, SIDE = 300, 46, 34, 110
STEP, WIDTH = 120, 850  # distance of two axes at least, and of the first and the last axis if there is space
MAX_AXES = 7  # options; with the objective they fit the width of a page
MAX_VALUES = 12  # different texts on an axis; all others share the place of the last one
MAX_TEXT = 16
LOG_RATIO = 30  # ratio of largest and smallest number from which an axis is logarithmic
RANKS = 5  # colors from the best to the worst run
MISSING = "–"


class Column(NamedTuple):
    """An axis: its name, the position 0..1 of each run (None: the run ends before it), and its ticks."""

    name: str
    places: list[float | None]
    marks: list[tuple[float, str]]


def column(name: str, values: Sequence[Any]) -> Column:
    """Return the axis of an option: numbers on a linear or logarithmic scale, anything else as categories."""
    numbers = [value for value in values if is_number(value)]
    if len(numbers) == len(values) and len(set(numbers)) > 1:
        return numeric(name, [float(value) for value in values])
    texts = [MISSING if value is None else str(value).lower() if isinstance(value, bool) else str(value)
             for value in values]  # fmt: skip
    known = list(dict.fromkeys(sorted(texts, key=natural)))
    shown = known[:MAX_VALUES]
    at = {text: (n + 0.5) / len(shown) for n, text in enumerate(shown)}
    last = at[shown[-1]]
    marks = [(at[text], shortened(text, MAX_TEXT)) for text in shown]
    if len(known) > MAX_VALUES:
        marks[-1] = (last, f"{len(known) - MAX_VALUES + 1:,} others")
    return Column(name, [at.get(text, last) for text in texts], marks)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e30


def natural(text: str) -> tuple[int, float, str]:
    """Return a key that sorts numbers by value and before text."""
    try:
        number = float(text)
    except ValueError:
        return 1, 0.0, text
    return (0, number, text) if math.isfinite(number) else (1, 0.0, text)


def numeric(name: str, values: Sequence[float | None]) -> Column:
    """Return the axis of numbers. If there are few different ones, each is a tick."""
    known = sorted({value for value in values if value is not None})
    low, high = known[0], known[-1]
    if low == high:
        return Column(name, [None if value is None else 0.5 for value in values], [(0.5, short(low))])
    scale = Scale(low, high, log=low > 0 and high / low >= LOG_RATIO)
    places = [None if value is None else scale(value) for value in values]
    marks = [(scale(value), short(value)) for value in (known if len(known) <= 5 else [low, *ticks(scale, 5), high])]
    return Column(f"{name} (log)" if scale.log else name, places, spaced(marks))


def spaced(marks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Return marks that do not overlap: the first, the last, and those between that have room."""
    first, *between, last = sorted(set(marks))
    kept = [first]
    for mark in between:
        if mark[0] - kept[-1][0] > 0.07 and last[0] - mark[0] > 0.07:
            kept.append(mark)
    return [*kept, last]


def parallel_coordinates(
    options: Sequence[tuple[str, Sequence[Any]]], objective: str, scores: Sequence[float | None], names: Sequence[str]
) -> Html | None:
    """Return the drawing; None if no option differs or no run has a score.

    Args:
        options: name of each option, and its value in each run.
        scores: objective of each run; lower is better; None if it has none.
        names: of the runs.
    """
    if not options or all(score is None for score in scores):
        return None
    columns = [column(name, values) for name, values in options[:MAX_AXES]] + [numeric(objective, scores)]
    step = max(STEP, min(WIDTH // 2, WIDTH // (len(columns) - 1)))
    width = 2 * SIDE + step * (len(columns) - 1)
    order = sorted(range(len(scores)), key=lambda n: math.inf if (score := scores[n]) is None else score)
    classes = ranks(scores, order)
    lines = [run_line(columns, step, n, classes[n], names[n], scores[n]) for n in reversed(order)]
    axes = [axis(one, SIDE + step * n, n == 0, n == len(columns) - 1) for n, one in enumerate(columns)]
    box = {"viewBox": f"0 0 {width} {HEIGHT}", "width": width, "height": HEIGHT, "role": "img"}
    drawing = tag("svg", tag("title", f"options against {objective}"), *lines, *axes, **box)
    return tag("div", drawing, class_="wide parallel")


def ranks(scores: Sequence[float | None], order: Sequence[int]) -> dict[int, str]:
    """Return the class of the color of each run: r0 for the best to r4 for the worst, rx without a score."""
    scored = [n for n in order if scores[n] is not None]
    last = max(1, len(scored) - 1)
    classes = {n: f"r{round((RANKS - 1) * place / last)}" for place, n in enumerate(scored)}
    return classes | {n: "rx" for n in order if scores[n] is None}


def height_of(place: float) -> float:
    return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)


def run_line(columns: Sequence[Column], step: int, run: int, rank: str, name: str, score: float | None) -> Html:
    """Return the curve of a run, with a text that appears when the pointer is on it."""
    spots = [(SIDE + step * n, height_of(place)) for n, one in enumerate(columns)
             if (place := one.places[run]) is not None]  # fmt: skip
    path = f"M{spots[0][0]} {spots[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(spots):
        path += f"C{x0 + step / 3:.0f} {y0:.1f} {x1 - step / 3:.0f} {y1:.1f} {x1} {y1:.1f}"
    words = f"{name}: {'no score' if score is None else f'{score:.4g}'}"
    return tag("path", tag("title", words), d=path, class_=f"run {rank}")


def axis(one: Column, x: int, is_first: bool, is_last: bool) -> Html:
    """Return an axis with its name and ticks. The ticks of the first axis are on its left, beside no line."""
    top = height_of(1)
    parts = [tag("path", d=f"M{x} {top}V{HEIGHT - BOTTOM}", class_="axis"),
             tag("text", shortened(one.name, 24), x=x, y=top - 22, class_="name mid")]  # fmt: skip
    for place, words in one.marks:
        y = round(height_of(place), 1)
        parts += [tag("path", d=f"M{x - 3} {y}h6", class_="axis"),
                  tag("text", words, x=x + (-8 if is_first else 8), y=y + 4,
                      class_="tick halo end" if is_first else "tick halo")]  # fmt: skip
    if is_last:
        parts.append(tag("text", "lower is better", x=x, y=HEIGHT - 10, class_="tick mid"))
    return tag("g", *parts)
