"""Draw line charts as SVG. Colors come from the style sheet, so that they fit light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gan.sharing.report.log import Point
from gan.sharing.report.markup import Content, Html, tag, text

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 10, 40
MAX_DRAWN = 300  # points of a line
MAX_DOTS = 40  # points of a line with a dot each
COLORS = 8  # of the style sheet; further lines repeat them with dashes
LOG_RANGE = 20  # ratio of largest and smallest value from which the axis is logarithmic


class Line(NamedTuple):
    """One line of a chart. `color` counts from 0."""

    name: str
    points: Sequence[Point]
    color: int = 0


class Axis(NamedTuple):
    """A horizontal axis: which number of a point, its title, and the text of a tick."""

    name: str
    value: Callable[[Point], float]
    title: str
    tick: Callable[[float], str]


class Scale(NamedTuple):
    """A scale of values, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value in 0..1."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def short(value: float, digits: int = 3) -> str:
    """Return a number in few characters, such as 12k or 0.25."""
    size = abs(value)
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= size < 1e13:
            return f"{value / limit:.{digits}g}{unit}"
    return f"{value:.{digits}g}"


IMAGES = Axis("images", lambda point: point.images, "images seen", short)
MINUTES = Axis("minutes", lambda point: point.seconds / 60, "minutes of training", short)


def line_chart(
    title: Content,
    lines: Sequence[Line],
    axis: Axis,
    floor: float | None = None,
    include: Sequence[float] = (),
    legend: bool = True,
) -> Html:
    """Return a figure with a title, the lines and, for several lines, a legend.

    Args:
        floor: a value to mark with a dashed line, such as the score of real images.
        include: values that the vertical axis includes.
        legend: show a legend if there are several lines.
    """
    shown = [Line(line.name, thinned([p for p in line.points if math.isfinite(axis.value(p))]), line.color)
             for line in lines]  # fmt: skip
    values = [point.value for line in shown for point in line.points]
    if not values:
        return tag("figure", tag("figcaption", title), tag("p", "no values over this axis", class_="empty"),
                   class_=f"chart by-{axis.name}")  # fmt: skip
    y = value_scale([*values, *include, *([floor] if floor is not None else [])])
    far = max(axis.value(point) for line in shown for point in line.points)
    x = Scale(0.0, far if far > 0 else 1.0)
    drawing = [grid_lines(x, y, axis), floor_line(floor, y), *(drawn(line, x, y, axis) for line in shown)]
    image = tag("svg", tag("title", f"{shown[0].name if len(shown) == 1 else 'values'} over {axis.title}"), *drawing,
                  viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img")  # fmt: skip
    keys = key([(line.name, line.color) for line in shown]) if legend and len(shown) > 1 else None
    caption = tag("figcaption", title, tag("small", " (log scale)") if y.log else None)
    return tag("figure", caption, image, keys, class_=f"chart by-{axis.name}")


def key(names: Sequence[tuple[str, int]]) -> Html:
    """Return a legend."""
    swatch = [tag("svg", tag("path", d="M0 5h18", class_=line_class(color)), viewBox="0 0 18 10", class_="swatch",
                  aria_hidden="true") for _, color in names]  # fmt: skip
    return tag("ul", [tag("li", mark, name) for mark, (name, _) in zip(swatch, names, strict=True)], class_="key")


def line_class(color: int) -> str:
    return f"line c{color % COLORS} d{color // COLORS % 4}"


def thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most about MAX_DRAWN points: means of equally many neighbors."""
    count = math.ceil(len(points) / MAX_DRAWN)
    if count <= 1:
        return list(points)
    groups = [points[start : start + count] for start in range(0, len(points), count)]
    return [Point(group[-1].images, group[-1].seconds, sum(p.value for p in group) / len(group)) for group in groups]


def value_scale(values: Sequence[float]) -> Scale:
    """Return a scale that fits all values: logarithmic if they are positive and span a large ratio."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= LOG_RANGE:
        return Scale(low / 1.15, high * 1.15, log=True)
    if low == high:
        space = abs(low) / 2
        return Scale(low - space, high + space) if space else Scale(0.0, 1.0)
    margin = 0.06 * (high - low)
    return Scale(0.0 if 0 <= low < 0.4 * high else low - margin, high + margin)


def ticks(scale: Scale, count: int) -> list[float]:
    """Return about `count` round values on a scale."""
    if scale.log:
        return log_ticks(scale, count)
    step = (scale.high - scale.low) / count
    unit = 10.0 ** math.floor(math.log10(step))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= step * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    found = [step * n for n in range(first, first + 4 * count) if step * n <= scale.high + 1e-9 * step]
    return [0.0 if abs(value) < 1e-9 * step else value for value in found]


def log_ticks(scale: Scale, count: int) -> list[float]:
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**power for power in decades for m in factors if scale.low <= m * 10.0**power <= scale.high]
        if len(found) <= count + 2:
            return found
    return found[:: math.ceil(len(found) / count)]


def place(x: float, y: float) -> tuple[float, float]:
    """Return the position in the drawing of a position in 0..1."""
    return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)


def tick_texts(values: Sequence[float]) -> list[str]:
    """Return the text of each tick, with as many digits as make them different."""
    made = ([short(value, digits) for value in values] for digits in range(3, 8))
    return next((texts for texts in made if len(set(texts)) == len(texts)), [short(value) for value in values])


def grid_lines(x: Scale, y: Scale, axis: Axis) -> Html:
    parts: list[Html] = []
    marks = ticks(y, 5)
    for value, words in zip(marks, tick_texts(marks), strict=True):
        at = round(place(0, y(value))[1], 1)
        parts += [tag("path", d=f"M{LEFT} {at}H{WIDTH - RIGHT}", class_="grid"),
                  tag("text", words, x=LEFT - 7, y=at + 4, class_="tick end")]  # fmt: skip
    for value in ticks(x, 5):
        at = round(place(x(value), 0)[0], 1)
        anchor = "end" if at > WIDTH - RIGHT - 8 else "mid"
        parts.append(tag("text", axis.tick(value), x=at, y=HEIGHT - BOTTOM + 17, class_=f"tick {anchor}"))
    base = HEIGHT - BOTTOM
    parts += [tag("path", d=f"M{LEFT} {base}H{WIDTH - RIGHT}", class_="axis"),
              tag("text", axis.title, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 5, class_="label mid")]  # fmt: skip
    return tag("g", *parts)


def floor_line(floor: float | None, y: Scale) -> Html | None:
    if floor is None:
        return None
    at = round(place(0, y(floor))[1], 1)
    return tag("g", tag("path", d=f"M{LEFT} {at}H{WIDTH - RIGHT}", class_="floor"),
               tag("text", "real images", x=WIDTH - RIGHT, y=at - 5 if at > 30 else at + 13,
                   class_="floor-name end"))  # fmt: skip


def drawn(line: Line, x: Scale, y: Scale, axis: Axis) -> Html:
    """Return a line, with dots if it has few points."""
    spots = [place(x(axis.value(point)), y(point.value)) for point in line.points]
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in spots)
    parts = [tag("path", d=path, class_=line_class(line.color))] if len(spots) > 1 else []
    if len(spots) <= MAX_DOTS:
        for (a, b), point in zip(spots, line.points, strict=True):
            words = f"{line.name}: {point.value:.4g} at {axis.tick(axis.value(point))} {axis.title}"
            parts.append(tag("circle", tag("title", text(words)), cx=f"{a:.1f}", cy=f"{b:.1f}", r=3,
                             class_=f"dot c{line.color % COLORS}"))  # fmt: skip
    return tag("g", *parts)
