"""Prints: dots of four inks, and flat areas of spot inks."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.styles.filter import FloatImage, Range
from gan.data.styles.helpers import LUMINANCE, bands, equalized, luminance, mixed, palette
from gan.data.styles.paint import kuwahara

POSTER_INKS = "1b2a41 c8452f e9a03b 2f7f79 8fb7a8 f3e6c8"


def halftone(
    image: FloatImage,
    rng: np.random.Generator,
    cell: Annotated[float, Range(0, 500, "distance of dots in pixels; 0: a 64th of the shorter side, at least 4")] = 0,
    angle: Annotated[float, Range(-45, 45, "turns all screens, in degrees")] = 0,
    color: Annotated[float, Range(0, 1, "0: one black screen")] = 1,
) -> FloatImage:
    """Four-color halftone printing: a screen of dots for each ink, at the usual screen angles, on paper."""
    image = mixed(np.repeat(luminance(image)[..., None], 3, -1), image, color)
    cyan, magenta, yellow = np.moveaxis(1 - image, -1, 0)
    black = np.minimum(np.minimum(cyan, magenta), yellow)
    cell = cell or max(4.0, min(image.shape[:2]) / 64)  # pixels from dot to dot
    page = np.full_like(image, 1) * np.array([0.96, 0.93, 0.86], np.float32)
    for amount, degrees, ink in (
        (yellow - black, 0, (1.0, 0.87, 0.12)),
        (cyan - black, 15, (0.10, 0.62, 0.80)),
        (magenta - black, 75, (0.85, 0.16, 0.45)),
        (black**1.5, 45, (0.12, 0.11, 0.11)),  # weaker than the inks it replaces, because dots grow in print
    ):
        covered = screen(amount, degrees + angle, cell)[..., None]
        page = page * (1 - covered + covered * np.array(ink, np.float32))
    return page


def screen(amount: np.ndarray, degrees: float, cell: float) -> np.ndarray:
    """Return the coverage (H, W) of pixels by soft-edged dots that cover a fraction `amount` (H, W) of the paper."""
    y, x = np.mgrid[: amount.shape[0], : amount.shape[1]].astype(np.float32)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    place = hills((x * cosine + y * sine) / cell, (y * cosine - x * sine) / cell)
    heights = np.sort(hills(*np.mgrid[0:1:64j, 0:1:64j]).ravel())  # of one cell
    threshold = np.searchsorted(heights, place) / heights.size  # 0 in the center of a dot; uniformly distributed
    return np.clip((amount - threshold) * cell + 0.5, 0, 1).astype(np.float32) * (amount > 0)


def hills(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return a smooth lattice with period 1, minimal in the corners of a cell and maximal in its center."""
    return np.asarray(-np.cos(2 * np.pi * across) - np.cos(2 * np.pi * down))


def poster(
    image: FloatImage,
    rng: np.random.Generator,
    brush: Annotated[int, Range(0, 200, "radius of the flat areas in pixels; 0: a 48th of the shorter side")] = 0,
    inks: Annotated[int, Range(2, 6, "number of inks")] = 6,
) -> FloatImage:
    """Return a screen print: flat areas in a few inks, chosen mainly by luminance."""
    flat = kuwahara(image, brush or max(1, round(min(image.shape[:2]) / 48)))
    colors = some_inks(palette(POSTER_INKS), inks)
    target = np.sort(colors @ LUMINANCE)
    tone = np.interp(equalized(luminance(flat)), np.linspace(0, 1, len(target)), target)  # so that all inks are used
    page = np.empty_like(flat)
    for rows in bands(len(flat)):
        off = 4 * (tone[rows, :, None] - colors @ LUMINANCE) ** 2 + ((flat[rows, :, None] - colors) ** 2).sum(-1)
        page[rows] = colors[off.argmin(-1)]
    return page


def some_inks(colors: np.ndarray, count: int) -> np.ndarray:
    """Return `count` of the colors (colors, 3), spread evenly from dark to light."""
    order = np.argsort(colors @ LUMINANCE, kind="stable")
    return colors[np.sort(order[np.linspace(0, len(colors) - 1, count).round().astype(int)])]
