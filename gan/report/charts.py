"""Draw curves of runs over images seen and over minutes of training, for `gan compare`, reports and the demo."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gan.runs.metrics import Point
from gan.utils.output import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ("-", "--", ":", "-.")  # of lines: beyond ten lines, colors repeat
MAX_DOTS = 40  # points of a line that are shown as dots
MAX_HALF = 60  # characters of a line of the legend that fits half of the width
LOG_RANGE = 20  # ratio of largest and smallest value from which the axis is logarithmic
GRAY, GREEN = "#808080", "#3f8f3a"  # readable on light and on dark pages


class Line(NamedTuple):
    """A line of a panel. Lines with the same number have the same color and one entry in the legend."""

    name: str
    points: Sequence[Point]
    number: int = 0


class Panel(NamedTuple):
    """A row of a figure: a title, lines, the value of real images to mark, and whether the axis includes 0."""

    title: str
    lines: Sequence[Line]
    floor: float | None = None
    from_zero: bool = False


def draw(panels: Sequence[Panel], together: bool = False) -> Figure:
    """Return a figure with a row for each panel: on the left over images seen, on the right over minutes.

    Args:
        together: show one legend below all panels, if there are several lines; otherwise panels have their own.
    """
    from matplotlib.figure import Figure

    names = {line.number: one_line(line.name) for panel in panels for line in panel.lines if line.points}
    below = together and len(names) > 1
    legend_columns = 2 if below and max(map(len, names.values())) <= MAX_HALF else 1
    height = 2.4 * len(panels) + 0.2 * -(-len(names) // legend_columns) * below  # inches
    figure = Figure(figsize=(10, height), layout="constrained")
    axes: Any = figure.subplots(len(panels), 2, sharex="col", sharey="row", squeeze=False)
    drawn: dict[int, Any] = {}
    for row, panel in zip(axes, panels, strict=True):
        drawn |= draw_panel(row, panel)
        if not together and len(panel.lines) > 1:
            texts = [one_line(line.name) for line in panel.lines]
            plain(row[0].legend(row[0].lines[: len(texts)], texts, fontsize="small"))
    for axis in axes[-1]:  # all panels begin with the first image
        axis.set_xlim(-0.03 * axis.get_xlim()[1], axis.get_xlim()[1])
    axes[-1][0].set_xlabel("images seen")
    axes[-1][1].set_xlabel("minutes of training, without evaluations")
    if below:
        numbers = sorted(names)
        artists = [drawn[number] for number in numbers]
        texts = [names[number] for number in numbers]
        plain(figure.legend(artists, texts, loc="outside lower left", ncols=legend_columns, fontsize="small"))
    return figure


def draw_panel(row: Sequence[Any], panel: Panel) -> dict[int, Any]:
    """Draw a panel on its two axes, and return the artist of each line that has points by its number."""
    drawn = {}
    for line in panel.lines:
        style = {"color": f"C{line.number % 10}", "linestyle": STYLES[line.number // 10 % len(STYLES)]}
        style |= {"marker": "." if len(line.points) <= MAX_DOTS else ""}
        values = [point.value for point in line.points]
        (artist,) = row[0].plot([point.images for point in line.points], values, **style)
        row[1].plot([point.seconds / 60 for point in line.points], values, **style)
        if line.points:
            drawn[line.number] = artist
    values = [point.value for line in panel.lines for point in line.points if math.isfinite(point.value)]
    values += [] if panel.floor is None else [panel.floor]
    if values and not panel.from_zero and min(values) > 0 and max(values) / min(values) >= LOG_RANGE:
        row[0].set_yscale("log")
    row[0].set_title(one_line(panel.title), loc="left", fontsize="medium", parse_math=False)
    for axis in row:
        if panel.from_zero:
            axis.axhline(0, color=GRAY, linewidth=0.5)
        if panel.floor is not None:
            axis.axhline(panel.floor, color=GREEN, linestyle="--", linewidth=1)
            axis.annotate("real images", (1, panel.floor), xycoords=("axes fraction", "data"), color=GREEN,
                          ha="right", va="bottom", fontsize="small")  # fmt: skip
    return drawn


def plain(legend: Any) -> None:
    """Remove the frame of a legend, and show its texts as they are: names of runs are no formulas."""
    legend.set_frame_on(False)
    for text in legend.get_texts():
        text.set_parse_math(False)


def to_svg(figure: Figure) -> str:
    """Return a figure as the address of an SVG, which fits light and dark pages."""
    import matplotlib
    from matplotlib.text import Text

    for axis in figure.axes:
        axis.tick_params(which="both", color=GRAY)
        for spine in axis.spines.values():
            spine.set_color(GRAY)
    for text in figure.findobj(Text):
        if text.get_color() != GREEN:
            text.set_color(GRAY)
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gan"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
