"""Prints in a few inks: halftone, poster, screen print and risograph. Paint: flat areas that keep edges, and paper.

A spot ink is described by its color on paper. Inks over each other multiply their reflectances; these overprints and
the paper are the Neugebauer primaries (Neugebauer, "Die theoretischen Grundlagen des Mehrfarbenbuchdrucks", 1937).
Rosin and Lai, "Non-photorealistic Rendering with Spot Colour", 2013, choose flat inks for photographs.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.ndimage import shift
from scipy.spatial import cKDTree

from gan.looks.fields import (
    LUMINANCE,
    FloatImage,
    Range,
    bands,
    blurred,
    box_mean,
    clipped,
    equalized,
    luminance,
    mixed,
    noise,
    palette,
    positive,
    resample,
    shorter_side,
    size_within,
    smooth,
)
from gan.utils.video_state import mean_over_frames

POSTER_INKS = "1b2a41 c8452f e9a03b 2f7f79 8fb7a8 f3e6c8"


def halftone(
    image: FloatImage,
    cell: Annotated[float, Range(0, 500, "distance of dots in pixels; 0: a 64th of the shorter side, at least 4")] = 0,
    angle: Annotated[float, Range(-45, 45, "turns all screens, in degrees")] = 0,
    color: Annotated[float, Range(0, 1, "0: one black screen")] = 1,
) -> FloatImage:
    """Four-color halftone printing: a screen of dots for each ink, at the usual screen angles, on paper."""
    image = mixed(np.repeat(luminance(image)[..., None], 3, -1), image, color)
    cyan, magenta, yellow = np.moveaxis(1 - image, -1, 0)
    black = np.minimum(np.minimum(cyan, magenta), yellow)
    cell = cell or max(4.0, shorter_side(image.shape) / 64)  # pixels from dot to dot
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
    brush: Annotated[int, Range(0, 200, "radius of the flat areas in pixels; 0: a 48th of the shorter side")] = 0,
    inks: Annotated[int, Range(2, 6, "number of inks")] = 6,
) -> FloatImage:
    """Return a screen print: flat areas in a few inks, chosen mainly by luminance."""
    flat = kuwahara(image, brush or max(1, round(shorter_side(image.shape) / 48)))
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


STOCK = np.array([0.965, 0.945, 0.89], np.float32)  # paper
SCREEN_INKS = "f2c12e e2502f 2f74b5 23233f"  # yellow, red, blue, near-black
RISO_INKS = "ff48b0 0078bf ffe800"  # fluorescent pink, blue, yellow: colors of drums
RISO_ANGLES = (75.0, 15.0, 0.0)
DIRECTIONS = np.array([(0.0, 0.0), (0.9, 0.45), (-0.75, 0.6), (0.3, -0.95)])  # of misregistration; the key has none
WORK = 1000  # pixels of the shorter side at which plates are computed


def stencils(
    image: FloatImage,
    inks: Annotated[int, Range(2, 4, "2: red and near-black; 3: also blue; 4: also yellow")] = 4,
    detail: Annotated[float, Range(0.3, 4, "fineness of the stencils; 1: features of a 90th of the shorter side")] = 1,
    misregistration: Annotated[float, Range(0, 20, "displacement of plates, in thousandths of the shorter side")] = 3,
) -> FloatImage:
    """Screen print: stencils in a few flat inks, which overlap and are slightly misregistered."""
    side = shorter_side(image.shape)
    small = np.stack([resample(image[..., c], size_within(image.shape, WORK)) for c in range(3)], -1)
    unit = min(small.shape[:2]) * side / min(image.shape[:2]) / (90 * detail)  # pixels of a feature
    tones = luminance(small)
    sharp = smooth(tones, 0.13 * unit)
    sharp = sharp + 1.6 * (sharp - smooth(tones, 0.6 * unit))  # for the key plate, which has the outlines
    flat = kuwahara(small, max(1, round(unit / 4)))
    gray = luminance(flat)[..., None]
    lively = 0.18 + 0.8 * (0.75 * gray + 0.25 * equalized(gray)) + 2.6 * (flat - gray)  # the key plate has the darks
    lively = np.stack([smooth(lively[..., c], 0.35 * unit) for c in range(3)], -1)
    *colors, key = palette(SCREEN_INKS)[np.sort([3, 1, 2, 0][:inks])]
    combinations, primaries = overprints(np.array(colors))
    metric = np.sqrt(0.6 * LUMINANCE + 0.4)
    _, nearest = cKDTree(primaries * metric).query(lively * metric)
    shapes = [smooth(combinations[nearest, number], 0.4 * unit) - 0.5 for number in range(len(colors))]
    shapes.append(mean_over_frames(np.quantile(sharp, 0.02)) * 0.4 + 0.22 - sharp)
    page = np.broadcast_to(STOCK, image.shape)
    for number, (shape, ink) in enumerate(zip(shapes, (*colors, key), strict=True)):
        plate = positive(resample(shape, image.shape[:2]))  # cut with smooth outlines
        down, across = misregistration / 1000 * side * DIRECTIONS[number - len(colors)]
        plate = shift(plate, (down, across), order=1, mode="nearest")
        page = page * (1 - plate[..., None] * (1 - ink / STOCK))
    return clipped(page)


def overprints(inks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which inks each combination has, (2^n, n), and its color on paper, (2^n, 3)."""
    plates = (np.arange(2 ** len(inks))[:, None] >> np.arange(len(inks)) & 1).astype(np.float32)
    return plates, STOCK * np.prod(np.where(plates[..., None] == 1, inks / STOCK, 1), 1)


def drums(
    image: FloatImage,
    inks: Annotated[int, Range(1, 3, "1: blue; 2: also pink; 3: also yellow")] = 2,
    cell: Annotated[float, Range(0, 500, "distance of dots in pixels; 0: a 130th of the shorter side, at least 3")] = 0,
    misregistration: Annotated[float, Range(0, 20, "displacement of drums, in thousandths of the shorter side")] = 3,
) -> FloatImage:
    """Risograph: two or three bright inks, screened by dots, with misregistered drums."""
    side = shorter_side(image.shape)
    cell = cell or max(3.0, side / 130)
    chosen = {1: [1], 2: [0, 1], 3: [2, 0, 1]}[inks]
    amounts = separate(image, palette(RISO_INKS)[chosen])
    page = np.broadcast_to(STOCK, image.shape)
    for n, number in enumerate(chosen):
        down, across = misregistration / 1000 * side * DIRECTIONS[number]
        amount = shift(amounts[..., n], (down, across), order=1, mode="nearest")
        covered = screen(amount, RISO_ANGLES[number], cell)
        page = page * (1 - 0.97 * covered[..., None] * (1 - palette(RISO_INKS)[number] / STOCK))
    return clipped(page)


def separate(image: FloatImage, inks: np.ndarray) -> np.ndarray:
    """Return the coverage of each ink, (H, W, n), whose densities add up to that of the image.

    The least squares are weighted by luminance, and solved without bounds and clipped.
    """
    weights = np.sqrt(LUMINANCE + 0.08)
    density = (-np.log(np.maximum(inks / STOCK, 0.03))).clip(0)  # (n, 3)
    wanted = -np.log(np.clip(0.06 + 0.94 * image, 0.06, 1))
    amounts = (wanted * weights) @ np.linalg.pinv(density * weights)
    return np.clip(1 - np.exp(-1.7 * np.maximum(amounts, 0)), 0, 1).astype(np.float32)


def ink_texture(
    image: FloatImage, rng: np.random.Generator, ink_noise: Annotated[float, Range(0, 2, "unevenness of the ink")] = 1
) -> FloatImage:
    """Uneven ink: mottled areas, and specks where the paper shows through."""
    height, width = image.shape[:2]
    side = shorter_side(image.shape)
    mottled = 0.05 * noise(rng, (height, width), max(1.0, side / 250)) + 0.03 * noise(rng, (height, width), side / 12)
    specks = np.clip(noise(rng, (height, width), max(0.8, side / 600)) - 2.6, 0, 1)
    kept = np.clip(1 - ink_noise * (np.maximum(mottled + 0.03, 0) + 0.9 * specks), 0, 1)[..., None]
    return clipped(STOCK * np.exp(np.log(np.maximum(image / STOCK, 1e-3)) * kept))


# ---- paint


def painting(
    image: FloatImage,
    brush: Annotated[int, Range(0, 200, "radius of the strokes in pixels; 0: a 56th of the shorter side")] = 0,
    color: Annotated[float, Range(0, 3, "saturation; 1 keeps it")] = 1.25,
) -> FloatImage:
    """Return an oil painting: flat areas that keep edges (Kuwahara filter), slightly more saturated."""
    flat = kuwahara(image, brush or max(2, round(shorter_side(image.shape) / 56)))
    gray = luminance(flat)[..., None]
    return clipped(gray + color * (flat - gray))


def washes(
    image: FloatImage,
    brush: Annotated[int, Range(0, 200, "radius of the washes in pixels; 0: a 40th of the shorter side")] = 0,
    edges: Annotated[float, Range(0, 6, "darkness along edges")] = 1.5,
) -> FloatImage:
    """Watercolor washes on cream paper, darker along edges."""
    side = shorter_side(image.shape)
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
    rough = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.7, shorter_side(image.shape) / 300))
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
