"""Show a run in a notebook: the newest grid beside real images, the last scores and curves. No TensorBoard.

Only metrics.jsonl and samples/ are read, each time that the view is shown, so that it also works while the run trains.
A run folder may come from a stranger: images are decoded here before a notebook gets them, and names are escaped.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from PIL import Image

from gan.data.decoding.reader import ImageError, read_first_frame
from gan.images.files import encode
from gan.report.images import find_grids
from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.utils.errors import UserError, path_hint
from gan.utils.output import one_line

MAX_PIXELS = 1 << 25  # of a grid
MAX_CURVES, COLUMNS = 12, 4
LARGEST = 1e30  # value that a chart shows
KINDS = ("eval/", "loss/", "penalty/")  # of metrics, in the order of the curves

Points = list[tuple[int, float]]  # images seen, value


class View:
    """What `gan.show` returns: a notebook shows it as images, scores and curves, a terminal as one line.

    Attributes:
        path: the run folder.
    """

    def __init__(self, run: str | os.PathLike[str]) -> None:
        self.path = Path(run)
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such run folder{path_hint(self.path)}")
        if not run_folder.is_run(self.path):
            raise UserError(f"{self.path}: is not a run folder; {run_folder.hint_inside(self.path) or 'give one run'}")

    def __repr__(self) -> str:
        lines, grids = read_metrics(self.path / run_folder.METRICS), find_grids(self.path / run_folder.SAMPLES).grids
        last = {name: points[-1][1] for name, points in curves(lines).items() if name.startswith("eval/")}
        scores = "".join(f", {name.removeprefix('eval/')} {value:.4g}" for name, value in list(last.items())[:3])
        grid = f", newest grid {grids[-1][1].name}" if grids else ", no grid yet"
        return one_line(f"<run {self.path}: {seen(lines):,} images seen{scores}{grid}>")

    def _repr_html_(self) -> str:
        lines = read_metrics(self.path / run_folder.METRICS)
        figures = "".join(
            f'<figure style="margin:0;flex:0 1 {image.width}px;min-width:0">'  # one scale for all
            '<img style="max-width:100%;image-rendering:pixelated" '
            f'alt="{title}" src="data:image/png;base64,{base64.b64encode(encode(image, "PNG", {})).decode()}">'
            f"<figcaption>{title}</figcaption></figure>"
            for title, image in self.images()
        )
        values = curves(lines)
        head = f"<b>{escape(one_line(self.path))}</b>: {seen(lines):,} images seen"
        row = f'<div style="display:flex;gap:12px;align-items:start">{figures or "no grids yet"}</div>'
        return f"<div>{head}{row}{charts(values) if values else 'no metrics yet'}</div>"

    def images(self) -> list[tuple[str, Image.Image]]:
        """Return the newest grid and that of real images, if they can be read, with a title each."""
        grids = find_grids(self.path / run_folder.SAMPLES)
        titled = [(f"generated images after {seen:,} images seen", path) for seen, path in grids.grids[-1:]]
        images = []
        for title, path in [*titled, *([("real images", grids.reals)] if grids.reals else [])]:
            with suppress(ImageError):  # there is none, or it is being written
                images.append((title, read_first_frame(path, MAX_PIXELS)))
        return images


def show(run: str | os.PathLike[str]) -> View:
    """Show a run in a notebook: `gan.show("runs/first")` at the end of a cell. It may still be training.

    Args:
        run: a run folder, or a `gan.Run`.
    """
    return View(run)


def seen(lines: Sequence[dict[str, Any]]) -> int:
    """Return the number of images seen at the last logged step."""
    return max((line["images"] for line in lines), default=0)


def curves(lines: Sequence[dict[str, Any]]) -> dict[str, Points]:
    """Return up to MAX_CURVES metrics by name: scores first, then losses, then penalties."""
    values: dict[str, Points] = {}
    for kind in KINDS:
        for line in lines:
            for name, value in line.items():
                if name.startswith(kind) and -LARGEST < value < LARGEST:  # False for NaN
                    values.setdefault(name, []).append((line["images"], float(value)))
    return {name: values[name] for name in list(values)[:MAX_CURVES]}


def charts(curves: Mapping[str, Points]) -> str:
    """Return curves over images seen as SVG, with the last value in the title."""
    from matplotlib.figure import Figure  # slow

    rows = -(-len(curves) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 1.6 * rows), layout="constrained")
    for n, (name, points) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(rows, COLUMNS, n)
        axes.plot(*zip(*points, strict=True))
        axes.set_title(f"{one_line(name)[:40]}: {points[-1][1]:.4g}", fontsize=8, parse_math=False)
        axes.tick_params(labelsize=6)
    file = StringIO()
    figure.savefig(file, format="svg")
    text = file.getvalue()
    return text[text.index("<svg") :]  # without the XML declaration
