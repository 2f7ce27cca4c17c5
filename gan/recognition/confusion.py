"""Plot a confusion matrix."""

from __future__ import annotations

import warnings
from pathlib import Path

from torch import Tensor

from gan.common.files import write_atomically


def plot(confusion: Tensor, classes: list[str], path: Path) -> None:
    """Write a PNG of a confusion matrix (classes, classes), with each row divided by its sum."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    side = max(4.0, 0.4 * len(classes) + 2)
    figure, axes = pyplot.subplots(figsize=(side, side), layout="constrained")
    fractions = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(fractions.numpy(), vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(classes))
    names = [name[:20] for name in classes]
    axes.set_xticks(ticks, names, rotation=90, parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(classes) <= 20:
        for row, column in ((row, column) for row in ticks for column in ticks):
            value = float(fractions[row, column])
            color = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # characters that the font lacks
            write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
    finally:
        pyplot.close(figure)
