"""Photographs and film."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.builtin.shapes import toned
from gan.data.styles.filter import FloatImage, Range
from gan.data.styles.helpers import blurred, clipped, luminance, mixed


def sepia(
    image: FloatImage,
    rng: np.random.Generator,
    sepia: Annotated[float, Range(0, 1, "amount of toning")] = 1,
) -> FloatImage:
    """Sepia toning: luminance mapped from dark brown to warm white."""
    tones = np.array([(0.13, 0.08, 0.05), (0.58, 0.45, 0.32), (0.98, 0.93, 0.82)])
    return mixed(image, toned(luminance(image), tones).astype(np.float32), sepia)


def fade(
    image: FloatImage,
    rng: np.random.Generator,
    fade: Annotated[float, Range(0, 1, "amount of fading")] = 1,
) -> FloatImage:
    """Return a faded color print: lifted, brown blacks and dimmed, yellowish whites."""
    low, high = np.array([0.16, 0.12, 0.11], np.float32), np.array([0.95, 0.90, 0.78], np.float32)
    return mixed(image, low + image * (high - low), fade)


def vignette(
    image: FloatImage,
    rng: np.random.Generator,
    vignette: Annotated[float, Range(0, 1, "light that the corners lose")] = 0.55,
) -> FloatImage:
    """Vignetting: the corners get less light than the center."""
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return image * (1 - vignette * ((x**2 + y**2) / 2) ** 1.25)[..., None].astype(np.float32)


def grain(
    image: FloatImage,
    rng: np.random.Generator,
    grain: Annotated[float, Range(0, 0.5, "standard deviation in midtones")] = 0.07,
    grain_size: Annotated[
        float,
        Range(0, 50, "radius in pixels; 0: an 800th of the shorter side, at least 0.5"),
    ] = 0,
) -> FloatImage:
    """Film grain: gray noise with a scale of one pixel or a 400th of the side, strongest in midtones."""
    height, width = image.shape[:2]
    radius = grain_size or max(0.5, min(height, width) / 800)
    noise = blurred(rng.standard_normal((height, width, 1), np.float32), radius)
    middle = luminance(image)[..., None]
    return clipped(image + grain * noise / noise.std() * np.sqrt(np.maximum(4 * middle * (1 - middle), 0.1)))
