"""Screens: pixel art, the cathode-ray tube, and a VHS tape.

VHS has a narrow bandwidth, delayed colors, and the faults of tape and heads. Luminance is recorded with a bandwidth of
about 3 MHz and color, moved below it, with about 0.4 MHz; the visible part of a line takes 52.6 microseconds (Jack,
"Video Demystified", 2007; SMPTE 170M for YIQ and the line).
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.ndimage import gaussian_filter1d

from gan.looks.fields import LUMINANCE, FloatImage, Range, blurred, clipped, noise, palette, resized, shorter_side
from gan.utils.colors import COLORS, LUMA
from gan.utils.seamless import size_of


def pixels(
    image: FloatImage,
    cell: Annotated[int, Range(0, 500, "side of a cell in pixels; 0: a 48th of the shorter side, at least 2")] = 0,
) -> FloatImage:
    """Pixel art: cells of a 48th of the shorter side, each in the nearest of PICO-8's 16 colors."""
    height, width = image.shape[:2]
    cell = cell or max(2, round(shorter_side(image.shape) / 48))
    small = resized(image, (-(-height // cell), -(-width // cell)))
    colors = palette(COLORS["pico8"])
    nearest = colors[((small[:, :, None] - colors) ** 2 @ (3 * LUMINANCE + 0.5)).argmin(-1)]
    return nearest.repeat(cell, 0).repeat(cell, 1)[:height, :width]


def scan_lines(
    image: FloatImage,
    line: Annotated[int, Range(0, 100, "height of a line in pixels; 0: a 240th of the shorter side")] = 0,
    darkness: Annotated[float, Range(0, 1, "light that every other line loses")] = 0.38,
    bloom: Annotated[float, Range(0, 2, "light around bright areas")] = 0.35,
) -> FloatImage:
    """A cathode-ray tube: every other line is dim, columns are tinted red, green and blue, and bright areas bloom."""
    height, width = image.shape[:2]
    unit = line or max(1, round(shorter_side(image.shape) / 240))  # pixels a line
    glow = image + bloom * blurred(np.maximum(image - 0.5, 0), shorter_side(image.shape) / 40)
    rows = np.where(np.arange(height) // unit % 2, 1 - darkness, 1.0)[:, None, None]
    columns = 0.8 + 0.4 * np.eye(3)[np.arange(width) // unit % 3]  # (W, 3)
    return clipped(1.12 * glow * (rows * columns[None]).astype(np.float32))


TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
FROM_YIQ = np.linalg.inv(TO_YIQ).astype(np.float32)
LINE = 52.6  # microseconds of a visible line
LUMA_MHZ, CHROMA_MHZ = 3.0, 0.4  # bandwidths in MHz, at which a tenth of the amplitude is left
LINES = 480  # visible lines of two fields
BLUR = (2 * np.log(10)) ** 0.5 / (2 * np.pi)  # standard deviation in time of such a Gaussian, times its bandwidth


def vhs_signal(
    image: FloatImage,
    bandwidth: Annotated[float, Range(0.2, 4, "bandwidth relative to VHS")] = 1,
    delay: Annotated[float, Range(0, 4, "delay of the colors, in microseconds")] = 0.5,
    sharpening: Annotated[float, Range(0, 3, "sharpening by the player, which leaves halos")] = 1.2,
) -> FloatImage:
    """What VHS keeps of a signal: soft luminance with halos, and smeared colors that come late."""
    height, width = image.shape[:2]
    whole = size_of(image.shape)
    microsecond, line = whole[1] / LINE, max(1.0, whole[0] / LINES)  # in pixels
    luma, *chroma = np.moveaxis(image @ TO_YIQ.T, -1, 0)
    soft = gaussian_filter1d(luma, BLUR / (LUMA_MHZ * bandwidth) * microsecond, axis=1, mode="nearest")
    wide = gaussian_filter1d(soft, 0.2 * microsecond, axis=1, mode="nearest")
    luma = 0.035 + 0.95 * (soft + sharpening * (soft - wide))
    smeared = []
    for each in chroma:
        each = gaussian_filter1d(each, BLUR / (CHROMA_MHZ * bandwidth) * microsecond, axis=1, mode="nearest")
        each = gaussian_filter1d(each, 0.8 * line, axis=0, mode="nearest")  # the player averages two lines
        shift = np.clip(np.arange(width) - round(delay * microsecond), 0, width - 1)
        rows = np.clip(np.arange(height) - round(2 * line), 0, height - 1)  # each copy moves colors down
        smeared.append(1.08 * each[rows][:, shift])
    return clipped(np.stack([luma, *smeared], -1) @ FROM_YIQ.T)


def vhs_tape(
    image: FloatImage,
    rng: np.random.Generator,
    tape_noise: Annotated[float, Range(0, 0.3, "standard deviation of the noise of luminance")] = 0.028,
    jitter: Annotated[float, Range(0, 1, "displacement of lines, in microseconds")] = 0.05,
    head_switching: Annotated[float, Range(0, 30, "lines at the bottom that are torn")] = 7,
    dropouts: Annotated[float, Range(0, 100, "streaks where the tape has lost its coating")] = 5,
) -> FloatImage:
    """The faults of tape and heads: noise in streaks, jitter of lines, torn lines at the bottom, dropouts."""
    height, width = image.shape[:2]
    whole = size_of(image.shape)
    line, microsecond = max(1.0, whole[0] / LINES), whole[1] / LINE  # in pixels
    lines = round(height / line)
    rows = np.minimum((np.arange(height) / line).astype(int), lines - 1)  # the line of each row
    shift, torn = displacement(rng, lines, jitter, head_switching)
    channels = displaced(image @ TO_YIQ.T, shift[rows] * microsecond)
    for channel, (amount, length) in enumerate(((tape_noise, 0.1), (1.2 * tape_noise, 1.2), (1.2 * tape_noise, 1.2))):
        streaks = line_noise(rng, lines, width, length * microsecond)
        amounts = amount * (1 + (4, 1, 1)[channel] * torn)
        channels[..., channel] += (amounts[:, None] * streaks).astype(np.float32)[rows]
    drop_out(channels[..., 0], rng, dropouts, rows, microsecond)
    return clipped(channels @ FROM_YIQ.T)


def displacement(rng: np.random.Generator, lines: int, jitter: float, torn: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the displacement of each line in microseconds, and how torn it is, 0..1."""
    slow = noise(rng, (lines, 2), (lines / 12, 2))[:, 0]
    shift = jitter * (0.8 * slow + 0.6 * gaussian_filter1d(rng.standard_normal(lines), 0.7))
    above = np.arange(lines)[::-1]  # lines below each line
    below = (torn > 0) * np.clip(1 - above / max(torn * lines / LINES * 2, 1e-6), 0, 1)
    tear = below**1.5 * (2.5 + 1.5 * rng.standard_normal()) + below * 0.5 * rng.standard_normal(lines)
    return shift + tear, (below > 0).astype(np.float32)


def displaced(channels: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Move each row (H, W, C) to the right by a number of pixels (H,), also by fractions."""
    width = channels.shape[1]
    place = np.clip(np.arange(width) - shift[:, None], 0, width - 1)
    left = np.minimum(place.astype(int), width - 2) if width > 1 else place.astype(int)
    part = (place - left).astype(np.float32)[..., None]
    first = np.take_along_axis(channels, left[..., None], 1)
    return first * (1 - part) + np.take_along_axis(channels, np.minimum(left + 1, width - 1)[..., None], 1) * part


def line_noise(rng: np.random.Generator, lines: int, width: int, length: float) -> np.ndarray:
    """Return noise (lines, W) with standard deviation 1: independent lines, correlated over `length` pixels."""
    points = max(2, round(width / max(1.0, length)) + 1)
    values = rng.standard_normal((lines, points), np.float32)
    place = np.linspace(0, points - 1, width)
    left = np.minimum(place.astype(int), points - 2)
    part = (place - left).astype(np.float32)
    return (values[:, left] * (1 - part) + values[:, left + 1] * part) / np.sqrt((1 - part) ** 2 + part**2)


def drop_out(luma: np.ndarray, rng: np.random.Generator, count: float, rows: np.ndarray, microsecond: float) -> None:
    """Add bright streaks, which fade to the right, to luminance (H, W) in place."""
    width = luma.shape[1]
    for _ in range(rng.poisson(count)):
        line, start = rng.integers(rows[-1] + 1), rng.integers(width)
        end = min(width, start + 1 + int(rng.exponential(4) * microsecond))
        fading = np.linspace(1, 0, end - start, dtype=np.float32) ** 0.5
        flicker = 0.6 + 0.4 * rng.random(end - start, np.float32)
        luma[rows == line, start:end] += 0.7 * fading * flicker
