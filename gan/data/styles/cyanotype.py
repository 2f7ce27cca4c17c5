"""Cyanotype: a photograph in Prussian blue on paper that was coated by brush.

Herschel, "On the Action of the Rays of the Solar Spectrum on Vegetable Colours", 1842; Ware, "Cyanomicon", 2014, for
the process, its tone curve and its color.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.styles.fields import edge, noise, smooth
from gan.data.styles.filter import FloatImage, Range
from gan.data.styles.helpers import clipped, equalized, luminance

PAPER = np.array([0.955, 0.945, 0.905], np.float32)
ABSORPTION = np.array([3.1, 1.95, 1.0], np.float32)  # of the densest blue: -ln of its reflectance, per channel


def prussian_blue(
    image: FloatImage,
    rng: np.random.Generator,
    contrast: Annotated[float, Range(0.3, 3, "contrast of the tone curve")] = 1.15,
    density: Annotated[float, Range(0.2, 1.5, "density of the darkest blue")] = 1,
) -> FloatImage:
    """Prussian blue on paper: the amount of pigment is a curve of luminance, and absorbs red most."""
    gray = luminance(image).astype(np.float32)
    gray = 0.7 * gray + 0.3 * equalized(gray).astype(np.float32)  # as a negative made for the process
    gray = gray + 0.35 * (gray - smooth(gray, min(gray.shape) / 90))  # contact prints are sharp
    dark = np.clip(1 - gray, 0, 1)
    pigment = density * dark**contrast / (dark**contrast + 0.55 * (1 - dark) ** contrast + 1e-6)
    return clipped(PAPER * np.exp(-pigment[..., None] * ABSORPTION))


def brushed_edge(
    image: FloatImage,
    rng: np.random.Generator,
    edge_width: Annotated[
        float, Range(0, 0.3, "bare paper around the coating, as a fraction of the shorter side")
    ] = 0.035,
    strokes: Annotated[float, Range(0, 3, "unevenness of the coating")] = 1,
) -> FloatImage:
    """Paper coated by brush: the image ends in irregular strokes, and the coating is uneven."""
    height, width = image.shape[:2]
    side = min(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scales = ((50, 2), (150, 3), (400, 4))  # down and across, as fractions of the side: the brush moves horizontally
    bristles = sum(noise(rng, (height, width), (side / a, side / b)) for a, b in scales) / np.float32(3**0.5)
    waves = noise(rng, (height, width), side / 8)
    across, down = np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)
    ends, borders = across / side + 0.012 * bristles + 0.010 * waves, down / side + 0.004 * bristles + 0.012 * waves
    depth = np.minimum(ends, borders) - edge_width
    coated = edge(depth * side, 1) * np.clip(0.45 + 0.55 * depth / 0.012 + 0.3 * bristles, 0, 1)
    uneven = 1 - strokes * (0.025 * bristles + 0.03 * np.abs(waves))
    pigment = -np.log(np.maximum(image / PAPER, 0.02)) * (uneven * (coated if edge_width else 1))[..., None]
    return clipped(PAPER * np.exp(-pigment))
