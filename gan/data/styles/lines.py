"""Prints of lines: engraving and woodcut."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.styles.fields import edge, noise, positive, resample, size_within, smooth
from gan.data.styles.filter import FloatImage, Range
from gan.data.styles.flow import along, directions, distance, lines
from gan.data.styles.helpers import clipped, equalized, luminance

ENGRAVING_INK, ENGRAVING_PAPER = np.array([0.10, 0.09, 0.09], np.float32), np.array([0.95, 0.93, 0.87], np.float32)
WOODCUT_INK, WOODCUT_PAPER = np.array([0.09, 0.08, 0.075], np.float32), np.array([0.94, 0.90, 0.81], np.float32)
SAMPLES = 4  # pixels from line to line where lines are computed
HATCHED = 0.42  # darkness from which a second set of lines crosses the first


def engraving(
    image: FloatImage,
    rng: np.random.Generator,
    cell: Annotated[
        float, Range(0, 200, "distance of lines in pixels; 0: a 110th of the shorter side, at least 4")
    ] = 0,
    angle: Annotated[float, Range(-90, 90, "direction of lines where there is no structure, in degrees")] = 20,
    flow: Annotated[float, Range(0, 1, "how much lines follow the structure")] = 0.75,
    hatching: Annotated[float, Range(0, 90, "angle between crossing lines in degrees; 0: no crossing")] = 55,
) -> FloatImage:
    """Engraving: lines that follow the forms, swell in shadows and are crossed by others in the darks."""
    height, width = image.shape[:2]
    side = min(height, width)
    cell = max(2.5, cell or max(4.0, side / 110))
    gray = equal_tones(luminance(image), 0.35)
    gray = gray + 0.9 * (gray - smooth(gray, cell * 0.9)) + 0.3 * (gray - smooth(gray, side / 25))
    dark = np.clip(1.02 - gray, 0, 1)
    first = np.where(dark < HATCHED, dark, HATCHED + 0.4 * (dark - HATCHED)) if hatching else dark
    size = size_within(image.shape, max(8, side / cell * SAMPLES))
    coarse = cell * size[0] / height
    small = resample(gray, size)
    across = directions(small, 3 * coarse, np.radians(angle + 90), 2 * (1 - flow) + 0.02)
    ink = stroke(lines(across, coarse), first, cell)
    if hatching:
        second = np.clip((dark - first) / (1 - first + 1e-6), 0, 0.75)
        turned = (across + np.float32(np.radians(hatching))) % np.float32(np.pi)
        ink = np.maximum(ink, stroke(lines(turned, coarse), second, cell))
    return ENGRAVING_PAPER + ink[..., None] * (ENGRAVING_INK - ENGRAVING_PAPER)


def stroke(wave: np.ndarray, amount: np.ndarray, cell: float) -> np.ndarray:
    """Return the coverage (H, W) by lines that cover a fraction `amount` (H, W) of the paper."""
    return edge(amount - distance(resample(wave, amount.shape)), cell / 2) * (amount > 0.04)


def equal_tones(gray: np.ndarray, amount: float) -> np.ndarray:
    """Return luminance, partly replaced by its rank, so that all images use all tones."""
    return ((1 - amount) * gray + amount * equalized(gray)).astype(np.float32)


def woodcut(
    image: FloatImage,
    rng: np.random.Generator,
    cell: Annotated[
        float, Range(0, 200, "distance of marks in pixels; 0: a 60th of the shorter side, at least 4")
    ] = 0,
    black: Annotated[float, Range(0, 1, "amount of black")] = 0.5,
    detail: Annotated[float, Range(0, 20, "weight of outlines")] = 5,
    gouges: Annotated[float, Range(0, 2, "width of the marks in middle tones")] = 1,
) -> FloatImage:
    """Woodcut: black areas and outlines, cut by white gouge marks that follow the forms.

    Outlines are a thresholded difference of Gaussians, smoothed along the structure: Kang et al., "Coherent line
    drawing", 2007; Winnemoeller, "XDoG: advanced image stylization with extended difference of Gaussians", 2011.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    cell = max(3.0, cell or max(4.0, side / 60))
    size = size_within(image.shape, max(64, side / cell * 10))  # a tenth of the distance of marks
    scale = size[0] / height
    small = resample(equal_tones(luminance(image), 0.5), size)
    across = directions(small, 2 * cell * scale, np.radians(75), 0.15)
    narrow, wide = smooth(small, 0.085 * cell * scale), smooth(small, 0.136 * cell * scale)
    drawn = along(narrow + detail * (narrow - wide) * 2, across, 0.5 * cell * scale)
    tone = drawn - black
    chips = noise(np.random.default_rng(0), size, 0.9 * cell * scale)  # of the place alone: the hand of the cutter
    chips = along(chips, across, 2.5 * cell * scale)
    marks = distance(lines(across, cell * scale))
    width_of_marks = gouges * np.clip(0.42 + 1.3 * tone + 0.2 * chips / max(float(chips.std()), 1e-6), 0, 0.85)
    cut = np.maximum(width_of_marks - marks - 0.08, 3 * (tone - 0.16))
    ink = 1 - positive(resample(cut, (height, width)))
    return clipped(WOODCUT_PAPER + ink[..., None] * (WOODCUT_INK - WOODCUT_PAPER))
