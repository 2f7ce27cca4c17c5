"""The log of a run, metrics.jsonl. No torch."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan import kinds, scores
from gan.utils.files import write_bytes
from gan.utils.untrusted import parse_json

MAX_LINE = 1 << 20  # bytes
MAX_CURVES = 60
MAX_NAME = 80  # characters of the name of a metric
LARGEST = 1e30  # larger values count as not finite, so that scales do not overflow
SHOWN = ("eval/", "loss/", "penalty/", "health/")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    return list(each_line(path))


def each_line(path: Path, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the lines of a metrics.jsonl, each with its number of images. Only one line is in memory.

    An incomplete last line, lines that this program does not write, and values that are not numbers are skipped, and
    what follows the first `max_bytes`.
    """
    for data in json_lines(path, max_bytes):
        if is_number(data.get("images")) and isinstance(data["images"], int):
            yield {name: value for name, value in data.items() if is_number(value)}


def json_lines(path: Path, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the lines of a file; other lines, and lines longer than MAX_LINE, are skipped."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        left, begins = math.inf if max_bytes is None else max_bytes, True
        while left > 0 and (data := file.readline(MAX_LINE + 1)):
            left -= len(data)
            whole, begins = begins, data.endswith(b"\n")
            if not whole or len(data) > MAX_LINE:
                continue
            try:
                found = parse_json(data.decode(errors="replace"))
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def is_number(value: object) -> bool:
    """Return whether a value is a number that fits into 64 bits; integers in JSON can be longer."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def cut_metrics(path: Path, images: int) -> None:
    """Remove the lines after `images`, because a resumed run logs them again."""
    kept = [line for line in read_metrics(path) if line["images"] <= images]
    write_bytes(path, "".join(json.dumps(line) + "\n" for line in kept).encode())


class Objective(NamedTuple):
    """The score that selects the best checkpoint of a run."""

    name: str
    sign: int = 1  # -1 if higher values are better
    since: int = 1  # images from which on values count: 0 if the start can be the best, as `gan.kinds` says

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Objective:
        name = str(config.get("objective"))
        return cls(name, scores.sign(name, config), 0 if kinds.start_counts(config) else 1)

    def best(self, lines: Iterable[Mapping[str, Any]]) -> float:
        """Return the value of the best line; the worst value, `sign` x inf, if there is none."""
        return Log(lines, self).best.get(self.name, self.sign * math.inf)


class Point(NamedTuple):
    """A logged value of a metric."""

    images: int
    seconds: float  # of training; NaN if unknown
    value: float


class Log:
    """The curves and the scores in the lines of metrics.jsonl. A run may come from someone else, so both have limits.

    Args:
        objective: the score by which the best line is chosen.

    Attributes:
        curves: the points of each metric by name, such as eval/fd_lite0.
        untrained: the scores at 0 images.
        best: the line of the best checkpoint, which is logged as best/NAME: it may not be the one with the best value,
            because the start is kept unless a score is clearly better. Without checkpoints, that with the best value.
        newest: the last line with scores.
        images: images seen.
        seconds: seconds of training, NaN if unknown.
        lost: number of values that are not finite or too large.
        complete: whether all metrics are among the curves.
    """

    def __init__(self, lines: Iterable[Mapping[str, Any]] = (), objective: Objective | None = None) -> None:
        self.curves: dict[str, list[Point]] = {}
        self.untrained: dict[str, float] = {}
        self.newest: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.images, self.seconds, self.lost, self.complete = 0, math.nan, 0, True
        name, sign, since = objective or Objective("")
        selected, last = f"best/{name.removeprefix('eval/')}", self.best
        worst, selects = sign * math.inf, False  # whether the run names its best checkpoint
        for line in lines:
            images, seconds = max(0, line["images"]), float(line.get("seconds", math.nan))
            seconds = seconds if 0 <= seconds <= LARGEST else math.nan
            self.images = max(self.images, images)
            self.seconds = seconds if math.isnan(self.seconds) else max(self.seconds, seconds)
            shown = {key: float(value) for key, value in line.items() if key.startswith(SHOWN) or key == name}
            for key in shown.keys() - self.curves.keys():
                if len(self.curves) < MAX_CURVES and len(key) <= MAX_NAME:
                    self.curves[key] = []
                else:
                    self.complete = False
            finite = {key: value for key, value in shown.items() if key in self.curves and abs(value) <= LARGEST}
            self.lost += sum(key in self.curves for key in shown) - len(finite)
            for key, value in finite.items():
                self.curves[key].append(Point(images, seconds, value))
            evaluated = {key: value for key, value in finite.items() if key.startswith("eval/")}
            scored = {**evaluated, "images": images, "seconds": seconds}
            if evaluated and images:
                self.newest = scored
            elif evaluated:
                self.untrained = evaluated
            if name in finite:
                last = scored | {name: finite[name]}
                is_best = images >= since and sign * finite[name] < sign * self.best.get(name, worst)
                self.best = last if is_best and not selects else self.best
            if selected in line and images == last.get("images"):
                self.best, selects = last, True
