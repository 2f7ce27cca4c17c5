"""Show a run in a notebook: the newest grid beside real images, the last scores and curves. No TensorBoard.

Only metrics.jsonl and samples/ are read, each time that the view is shown, so that it also works while the run trains.
A run folder may come from a stranger: images are decoded here before a notebook gets them, and names are escaped.
"""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from gan.common.errors import UserError
from gan.common.names import one_line
from gan.common.similar import path_hint
from gan.data.decoding.errors import ImageError
from gan.data.decoding.reader import read_first_frame
from gan.images.files import encode
from gan.run import run_folder
from gan.run.metrics import read_metrics
from gan.sharing.report.grids import find_grids

MAX_PIXELS = 1 << 25  # of a grid
MAX_CURVES = 12
MAX_POINTS = 200  # of a curve
WIDTH, HEIGHT = 220, 70  # pixels of a curve
GAP = 8  # pixels between grids

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
        lines, newest = read_metrics(self.path / run_folder.METRICS), self.newest()
        last = {name: points[-1][1] for name, points in curves(lines).items() if name.startswith("eval/")}
        scores = "".join(f", {name.removeprefix('eval/')} {value:.4g}" for name, value in list(last.items())[:3])
        grid = f", newest grid {newest.name}" if newest else ", no grid yet"
        return one_line(f"<run {self.path}: {seen(lines):,} images seen{scores}{grid}>")

    def newest(self) -> Path | None:
        """Return the newest grid; None if there is none yet."""
        grids = find_grids(self.path / run_folder.SAMPLES).grids
        return grids[-1][1] if grids else None

    def images(self) -> list[tuple[str, Image.Image]]:
        """Return the grids to show with a title each: generated and real images, if they can be read."""
        there, found = find_grids(self.path / run_folder.SAMPLES), []
        titled = [(f"generated images after {seen:,} images seen", path) for seen, path in there.grids[-1:]]
        for title, path in [*titled, *([("real images", there.reals)] if there.reals else [])]:
            with suppress(ImageError):  # there is none, or it is being written
                found.append((title, read_first_frame(path, MAX_PIXELS)))
        return found

    def _repr_png_(self) -> bytes | None:
        shown = [image for _, image in self.images()]
        if not shown:
            return None
        width = sum(image.width + GAP for image in shown) - GAP
        sheet = Image.new("RGB", (width, max(image.height for image in shown)), "white")
        left = 0
        for image in shown:
            sheet.paste(image, (left, 0), image if image.mode == "RGBA" else None)
            left += image.width + GAP
        return encode(sheet, "PNG", {})

    def _repr_html_(self) -> str:
        lines = read_metrics(self.path / run_folder.METRICS)
        found = curves(lines)
        figures = "".join(
            f'<figure style="margin:0;flex:0 1 {image.width}px;min-width:0">'  # one scale for all
            '<img style="max-width:100%;image-rendering:pixelated" '
            f'alt="{escape(title)}" src="data:image/png;base64,{base64.b64encode(encode(image, "PNG", {})).decode()}">'
            f"<figcaption>{escape(title)}</figcaption></figure>"
            for title, image in self.images()
        )
        charts = "".join(chart(name, points) for name, points in found.items())
        head = f"<b>{escape(one_line(self.path))}</b>: {seen(lines):,} images seen"
        row = '<div style="display:flex;gap:12px;align-items:start">'
        wrapped = row.replace("gap", "flex-wrap:wrap;gap")
        return f"<div>{head}{row}{figures or 'no grids yet'}</div>{wrapped}{charts or 'no metrics yet'}</div></div>"


def show(run: str | os.PathLike[str]) -> View:
    """Show a run in a notebook: `gan.show("runs/first")` at the end of a cell. It may still be training.

    Args:
        run: a run folder, or a `gan.Run`.

    Raises:
        UserError: there is no such run folder.
    """
    return View(run)


def seen(lines: Sequence[dict[str, Any]]) -> int:
    """Return the number of images seen at the last logged step."""
    return max((line["images"] for line in lines), default=0)


def curves(lines: Sequence[dict[str, Any]]) -> dict[str, Points]:
    """Return the finite values of up to MAX_CURVES metrics by name: scores first, then losses, then others."""
    found: dict[str, Points] = {}
    for line in lines:
        for name, value in line.items():
            if name.startswith(("eval/", "loss/", "penalty/")) and math.isfinite(value):
                found.setdefault(name, []).append((line["images"], float(value)))
    kinds = ("eval", "loss", "penalty")
    names = sorted(found, key=lambda name: kinds.index(name.partition("/")[0]))
    return {name: found[name] for name in names[:MAX_CURVES]}


def chart(name: str, points: Points) -> str:
    """Return a curve over images seen as SVG in a figure, with its last value and its range."""
    points = points[:: math.ceil(len(points) / MAX_POINTS)] + points[-1:]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left, low = min(xs), min(ys)
    across, up = (max(xs) - left) or 1, (max(ys) - low) or 1
    path = " ".join(
        f"{(x - left) / across * WIDTH:.1f},{(1 - (y - low) / up) * HEIGHT:.1f}" for x, y in points
    )  # fmt: skip
    end, title = path.split()[-1].split(","), escape(one_line(name))
    return (
        f'<figure style="margin:0;font-size:small"><figcaption>{title}: {ys[-1]:.4g}</figcaption><svg role="img" '
        f'aria-label="{title}" width="{WIDTH}" height="{HEIGHT}" viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}">'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.5" points="{path}"/>'
        f'<circle r="2" fill="currentColor" cx="{end[0]}" cy="{end[1]}"/></svg>'
        f"<div>{low:.4g} to {max(ys):.4g}</div></figure>"
    )
