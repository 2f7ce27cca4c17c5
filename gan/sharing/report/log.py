"""Read metrics.jsonl as curves, in bounded memory: a curve that gets long keeps every second point."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan.run.metrics import each_line

ONE_RUN = 150, 2000  # number of curves, and of points of a curve
MANY_RUNS = 40, 300
MAX_BYTES = 1 << 29  # of metrics.jsonl
MAX_NAME = 80  # characters of the name of a metric
LARGEST = 1e30  # larger values count as not finite, so that scales do not overflow
SHOWN = ("eval/", "loss/", "penalty/", "health/")


class Point(NamedTuple):
    images: int
    seconds: float  # of training; NaN if unknown
    value: float


class Curve:
    """The points of one metric, at most `most` of them, and the last one.

    Attributes:
        lost: number of values that are not finite.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: list[Point] = []
        self.last: Point | None = None
        self.stride, self.count, self.lost = 1, 0, 0

    def add(self, point: Point) -> None:
        if not abs(point.value) <= LARGEST:
            self.lost += 1
            return
        if self.count % self.stride == 0:
            self.kept.append(point)
        self.count, self.last = self.count + 1, point
        if len(self.kept) > self.most:
            self.kept, self.stride = self.kept[::2], 2 * self.stride

    @property
    def points(self) -> list[Point]:
        return self.kept if not self.kept or self.kept[-1] is self.last else [*self.kept, *filter(None, [self.last])]


class Log:
    """What a report shows of metrics.jsonl.

    Attributes:
        curves: by name, such as eval/fd_lite0.
        untrained: the scores at 0 images.
        best: the line with the best value of the objective, from `since` images on.
        newest: the last line with scores.
        images: images seen.
        seconds: seconds of training, NaN if unknown.
        others: names of metrics beyond the limits.
        cut: whether the file is longer than MAX_BYTES.
    """

    def __init__(self, objective: str, limits: tuple[int, int] = ONE_RUN, since: int = 1) -> None:
        self.objective, self.since = objective, since
        self.max_curves, self.max_points = limits
        self.curves: dict[str, Curve] = {}
        self.untrained: dict[str, float] = {}
        self.best: dict[str, float] = {}
        self.newest: dict[str, float] = {}
        self.images, self.seconds = 0, math.nan
        self.others: set[str] = set()
        self.cut = False

    def add(self, line: Mapping[str, Any]) -> None:
        seconds = float(line.get("seconds", math.nan))
        seconds = seconds if 0 <= seconds <= LARGEST else math.nan
        images = max(0, line["images"])
        self.images = max(self.images, images)
        self.seconds = seconds if math.isnan(self.seconds) else max(self.seconds, seconds)
        scores = {}
        for name, value in line.items():
            if not name.startswith(SHOWN) or not self.has_room(name):
                continue
            self.curves.setdefault(name, Curve(self.max_points)).add(Point(images, seconds, float(value)))
            if name.startswith("eval/"):
                scores[name] = float(value)
        if not scores:
            return
        about = {"images": images, "seconds": seconds}
        if images == 0:
            self.untrained = scores
        else:
            self.newest = {**scores, **about}
        if images < self.since:
            return
        value = scores.get(self.objective, math.nan)
        if abs(value) <= LARGEST and not value >= self.best.get(self.objective, math.inf):
            self.best = {**scores, **about}

    def has_room(self, name: str) -> bool:
        """Return whether a metric is shown: the first are, with names that are not too long."""
        if name in self.curves or (len(self.curves) < self.max_curves and len(name) <= MAX_NAME):
            return True
        if len(self.others) < self.max_curves:
            self.others.add(name[:MAX_NAME])
        return False

    @property
    def lost(self) -> int:
        """Number of values that are not finite."""
        return sum(curve.lost for curve in self.curves.values())

    def lines(self) -> list[dict[str, Any]]:
        """Return few lines with the same best scores, images and seconds as the whole file, as `Run` needs them."""
        clock = {} if math.isnan(self.seconds) else {"seconds": self.seconds}
        return [*([self.best] if self.best else []), {"images": self.images, **clock}]


def read_log(path: Path, objective: str, limits: tuple[int, int] = ONE_RUN, since: int = 1) -> Log:
    """Return the log of a run; an empty one if there is no file. `since`: see `gan.run.metrics.first_scored`."""
    log = Log(objective, limits, since)
    for line in each_line(path, MAX_BYTES):
        log.add(line)
    log.cut = path.is_file() and path.stat().st_size > MAX_BYTES
    return log
