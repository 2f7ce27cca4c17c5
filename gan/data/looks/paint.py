"""Paint: flat areas that keep edges, washes, paper."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.looks.fields import bands, blurred, box_mean, clipped, luminance
from gan.data.looks.settings import FloatImage, Range


def painting(
    image: FloatImage,
    rng: np.random.Generator,
    brush: Annotated[int, Range(0, 200, "radius of the strokes in pixels; 0: a 56th of the shorter side")] = 0,
    color: Annotated[float, Range(0, 3, "saturation; 1 keeps it")] = 1.25,
) -> FloatImage:
    """Return an oil painting: flat areas that keep edges (Kuwahara filter), slightly more saturated."""
    flat = kuwahara(image, brush or max(2, round(min(image.shape[:2]) / 56)))
    gray = luminance(flat)[..., None]
    return clipped(gray + color * (flat - gray))


def washes(
    image: FloatImage,
    rng: np.random.Generator,
    brush: Annotated[int, Range(0, 200, "radius of the washes in pixels; 0: a 40th of the shorter side")] = 0,
    edges: Annotated[float, Range(0, 6, "darkness along edges")] = 1.5,
) -> FloatImage:
    """Watercolor washes on cream paper, darker along edges."""
    side = min(image.shape[:2])
    flat = kuwahara(image, brush or max(2, round(side / 40)))
    steps = np.hypot(*np.gradient(luminance(blurred(flat, side / 160))))[..., None]
    cream = np.array([1.0, 0.98, 0.92], np.float32)
    return clipped((0.25 + 0.78 * flat) * (1 - edges * np.minimum(steps, 0.15)) * cream)


def paper(
    image: FloatImage,
    rng: np.random.Generator,
    paper: Annotated[float, Range(0, 0.3, "standard deviation of the texture")] = 0.035,
) -> FloatImage:
    """Paper texture."""
    height, width = image.shape[:2]
    rough = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.7, min(height, width) / 300))
    return clipped(image * (1 + paper * rough / rough.std()))


def kuwahara(image: FloatImage, radius: int) -> FloatImage:
    """Return the Kuwahara filter: each pixel becomes the mean of the quadrant around it with the smallest variance.

    Kuwahara et al., "Processing of RI-angiocardiographic images", 1976. Smooths and keeps edges.
    """
    padded = np.pad(image, ((2 * radius, 2 * radius), (2 * radius, 2 * radius), (0, 0)), "edge")
    mean = box_mean(padded, radius)  # centers: `radius` from the padded edge
    variance = (box_mean(padded**2, radius) - mean**2).sum(-1)
    height, width = image.shape[:2]
    corners = [(y, x) for y in (0, 2 * radius) for x in (0, 2 * radius)]  # a quadrant's center is `radius` off
    result = np.empty((height, width, 3), np.float32)
    for rows in bands(height):
        parts = [(slice(rows.start + y, rows.stop + y), slice(x, x + width)) for y, x in corners]
        smallest = np.stack([variance[part] for part in parts]).argmin(0)  # (rows, W)
        quadrants = np.stack([mean[part] for part in parts])  # (4, rows, W, 3)
        result[rows] = np.take_along_axis(quadrants, smallest[None, ..., None], 0)[0]
    return result
