"""Prints of lines, which follow the structure of an image: engraving and woodcut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import numpy as np
from scipy.fft import fft2, fftfreq, ifft2, next_fast_len
from scipy.ndimage import gaussian_filter, map_coordinates

from gan.looks.fields import (
    FloatImage,
    Range,
    clipped,
    edge,
    equalized,
    luminance,
    noise,
    positive,
    resample,
    shorter_side,
    size_within,
    smooth,
)
from gan.utils.video_state import from_first_frame, mean_over_frames

BINS = 10  # directions of the filters
BANDWIDTH = 0.22  # standard deviation of the filters, relative to their frequency
PASSES = 4


def directions(gray: np.ndarray, radius: float, preferred: float, weight: float) -> np.ndarray:
    """Return the direction across the local structure, in radians in [0, pi), (H, W).

    It is the main eigenvector of the smoothed structure tensor (Bigun and Granlund, "Optimal orientation detection of
    linear symmetry", 1987), as the argument of squared complex gradients.

    Args:
        radius: standard deviation of the smoothing, in pixels.
        preferred: the direction where there is no structure, in radians.
        weight: of that direction, relative to the mean strength of the structure.
    """
    soft = gaussian_filter(gray, 1.0, mode="nearest")
    down, across = np.gradient(soft)
    squared = (across + 1j * down) ** 2
    strength = np.abs(squared)
    squared = squared / np.sqrt(strength + 1e-8)  # strong edges do not drown weak structure
    tensor = smooth(squared.real, radius) + 1j * smooth(squared.imag, radius)
    tensor = tensor + weight * (mean_over_frames(np.abs(tensor).mean()) + 1e-6) * np.exp(2j * preferred)
    return np.asarray(np.angle(tensor) / 2 % np.pi, np.float32)


def lines(angle: np.ndarray, cell: float) -> np.ndarray:
    """Return a wave in -1..1, (H, W), float32, which is 1 on lines and -1 halfway between two lines.

    Lines start parallel; each pass filters them by the Gabor filter of the local direction and restores their contrast.
    Where directions turn, lines bend, and new ones begin between them, as in the work of engravers (Ostromoukhov,
    "Digital facial engraving", 1999). The filters are those of phasor noise (Tricard et al., "Procedural phasor noise",
    2019).

    Args:
        angle: direction across the lines, in radians.
        cell: distance of the lines in pixels, at least 2.5.
    """
    padded = padding(angle.shape, round(2 * cell))
    angle = np.pad(angle, padded, "reflect" if min(angle.shape) > 2 * cell + 1 else "edge")
    y, x = np.mgrid[: angle.shape[0], : angle.shape[1]].astype(np.float32)
    start = from_first_frame(float(np.angle(np.exp(2j * angle).mean()) / 2))  # the mean direction
    wave = np.cos(2 * np.pi / cell * (x * np.cos(start) + y * np.sin(start))).astype(np.float32)
    filters = list(gabor_filters(angle, cell))
    for _ in range(PASSES):
        spectrum = fft2(wave)
        total = np.zeros(angle.shape, np.complex64)
        for response, weight, sign in filters:
            band = ifft2(spectrum * response, overwrite_x=True)
            total.real += weight * band.real
            total.imag += sign * weight * band.imag
        wave = total.real / np.maximum(np.abs(total), 1e-9)
    (top, bottom), (left, right) = padded
    return wave[top : len(wave) - bottom, left : wave.shape[1] - right]


def padding(shape: tuple[int, ...], margin: int) -> list[tuple[int, int]]:
    """Return the padding of each axis: at least `margin`, to a length whose Fourier transform is fast."""
    return [(margin, next_fast_len(length + 2 * margin) - length - margin) for length in shape]


def gabor_filters(angle: np.ndarray, cell: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the frequency response of each filter, its weight in each pixel, and the sign of its direction there.

    Weights interpolate between the filters of the two nearest directions. Those beyond pi run backwards.
    """
    down, across = (fftfreq(length).astype(np.float32) for length in angle.shape)
    place = angle / np.float32(np.pi) * BINS
    for number in range(BINS):
        turn = np.abs(place - number)
        weight = np.maximum(1 - np.minimum(turn, BINS - turn), 0)
        if weight.any():
            direction = np.pi * number / BINS
            far = (across - np.cos(direction) / cell) ** 2 + (down[:, None] - np.sin(direction) / cell) ** 2
            yield np.exp(-0.5 * far / (BANDWIDTH / cell) ** 2), weight, np.where(turn > BINS / 2, -1, 1).astype(np.int8)


def distance(wave: np.ndarray) -> np.ndarray:
    """Return the distance from the middle of the nearest line for a wave of `lines`: 0 on a line, 1 halfway.

    The values are evenly distributed, so that a fraction `a` of the pixels has values below `a`.
    """
    return np.arccos(np.clip(wave, -1, 1)) / np.float32(np.pi)


def along(field: np.ndarray, angle: np.ndarray, reach: float, steps: int = 6) -> np.ndarray:
    """Smooth a field (H, W) along its structure: the mean over a path of `reach` pixels to both sides.

    Cabral and Leedom, "Imaging vector fields using line integral convolution", 1993. `angle` is the direction across
    the structure, in radians.
    """
    height, width = field.shape
    total, weights = field.astype(np.float32), 1.0
    y0, x0 = np.mgrid[:height, :width].astype(np.float32)
    for sign in (1, -1):
        y, x = y0, x0
        heading_x, heading_y = -sign * np.sin(angle), sign * np.cos(angle)
        for step in range(1, steps + 1):
            y, x = y + reach / steps * heading_y, x + reach / steps * heading_x
            weight = np.exp(-2 * (step / steps) ** 2)
            total = total + weight * map_coordinates(field, (y, x), order=1, mode="nearest")
            weights += weight
            local = angle[np.clip(y.round(), 0, height - 1).astype(int), np.clip(x.round(), 0, width - 1).astype(int)]
            new_x, new_y = -np.sin(local), np.cos(local)
            same = np.where(new_x * heading_x + new_y * heading_y < 0, -1, 1)
            heading_x, heading_y = same * new_x, same * new_y
    return total / np.float32(weights)


ENGRAVING_INK, ENGRAVING_PAPER = np.array([0.10, 0.09, 0.09], np.float32), np.array([0.95, 0.93, 0.87], np.float32)
WOODCUT_INK, WOODCUT_PAPER = np.array([0.09, 0.08, 0.075], np.float32), np.array([0.94, 0.90, 0.81], np.float32)
SAMPLES = 4  # pixels from line to line where lines are computed
HATCHED = 0.42  # darkness from which a second set of lines crosses the first


def engraving(
    image: FloatImage,
    cell: Annotated[
        float, Range(0, 200, "distance of lines in pixels; 0: a 110th of the shorter side, at least 4")
    ] = 0,
    angle: Annotated[float, Range(-90, 90, "direction of lines where there is no structure, in degrees")] = 20,
    flow: Annotated[float, Range(0, 1, "how much lines follow the structure")] = 0.75,
    hatching: Annotated[float, Range(0, 90, "angle between crossing lines in degrees; 0: no crossing")] = 55,
) -> FloatImage:
    """Engraving: lines that follow the forms, swell in shadows and are crossed by others in dark areas."""
    height, side = len(image), shorter_side(image.shape)
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
    cell: Annotated[float, Range(0, 200, "distance of marks in pixels; 0: a 60th of the shorter side, at least 4")] = 0,
    black: Annotated[float, Range(0, 1, "amount of black")] = 0.5,
    detail: Annotated[float, Range(0, 20, "weight of outlines")] = 5,
    gouges: Annotated[float, Range(0, 2, "width of the marks in middle tones")] = 1,
) -> FloatImage:
    """Woodcut: black areas and outlines, cut by white gouge marks that follow the forms.

    Outlines are a thresholded difference of Gaussians, smoothed along the structure: Kang et al., "Coherent line
    drawing", 2007; Winnemoeller, "XDoG: advanced image stylization with extended difference of Gaussians", 2011.
    """
    height, width = image.shape[:2]
    side = shorter_side(image.shape)
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
