"""Find the grid of enlarged pixel art, and return the image at its own size.

Pixel art that was enlarged without smoothing has edges only between cells, so the greatest common divisor of the
distances between edges is the side of a cell. Smoothing and JPEG add small steps inside cells. There the local maxima
of the gradient along each line stay between cells, and their positions are periodic. Their periodogram has a peak at
the frequency of the grid and at its multiples, so the grid is the lowest high peak. The same idea, with second
derivatives in place of local maxima, detects interpolated photographs (Gallagher, Detection of linear and cubic
interpolation in JPEG compressed images, 2005).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu
from scipy.special import ndtr

MIN_BITS = 11.0  # evidence for a grid without smoothing: log2 of the probability that edges are on it by chance
SMOOTHING = (0.0, 0.7, 1.4, 2.8, 5.6)  # standard deviations in pixels, for gradients; a cell has at least four
MIN_CELLS = 8  # along the longer side
NOISE = 16.0  # steps below this level, of 255, count little
MIN_CONFIDENCE = 0.4
MIN_CONFIDENCE_OF_TWO = 0.55  # for cells of about two pixels: the chroma of JPEG has this period
MIN_EVIDENCE = 8.0  # the natural logarithm of the probability that the periodogram of random edges has such a peak
FUNDAMENTAL = 0.7  # a peak at this fraction of the highest one may be the fundamental frequency
MIN_SAMPLES = 4  # effective number of places of edges, for an axis to take part
MAX_OF_TWO = 2.2  # pixels
OVERSAMPLING = 8  # of the frequencies
MAX_ASPECT = 2.0
MAX_PART = 512
MAX_SHIFT = 0.6  # pixels
MAX_LINES = 160  # lines of an image whose gradients are read
MAX_SIDE = 2048  # pixels; only the center of a larger image is read
BLURS = (0.0, 0.2, 0.28, 0.36)  # standard deviations of the blur to try, in cells
SHARP = 0.7  # prefer cells without blur up to 1 / SHARP times the residual
MAX_RESIDUAL = 0.15  # maximum fraction of the variance of an image that cells of one color, blurred, do not explain
OPAQUE = 16  # alpha that is nearer to 0 or 255 becomes 0 or 255, in smoothed images


class Axis(NamedTuple):
    """Lines of a grid along one axis: at `offset`, `offset + period`, ... in pixels from the edge of the image."""

    period: float  # at least 2
    offset: float  # in 0 <= offset < period

    def edges(self, length: int) -> np.ndarray:
        """Return the borders of the cells whose center is in an image, int (cells + 1), rising from 0 to `length`."""
        first = self.offset - self.period if self.offset > self.period / 2 else self.offset
        count = max(1, round((length - first) / self.period))
        edges = np.rint(first + self.period * np.arange(count + 1)).astype(int)
        return np.concatenate([[0], edges[1:-1], [length]])


class Grid(NamedTuple):
    columns: Axis  # the lines between columns of cells
    rows: Axis
    confidence: float  # 1: all edges are on the grid
    exact: bool  # all pixels of each cell have one color
    blur: float = 0.0  # standard deviation of the Gaussian that smoothed the edges of cells, in cells

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the number of rows and columns of cells of an image, which is the height and width of its pixel art."""
        return len(self.rows.edges(height)) - 1, len(self.columns.edges(width)) - 1


def find_grid(pixels: np.ndarray) -> Grid | None:
    """Return the grid of enlarged pixel art, uint8 (H, W, 3 or 4) with straight alpha; None if there is none.

    Cells have sides from two pixels to an eighth of the longer side (larger without smoothing). They are squares if
    squares explain the image.
    """
    image = premultiply(center(pixels))
    found = exact_grid(image) or smoothed_grid(image)
    if found is None:
        return None
    top, left = ((side - kept) // 2 for side, kept in zip(pixels.shape, image.shape[:2], strict=False))
    columns, rows = (
        Axis(axis.period, (axis.offset + cut) % axis.period)
        for axis, cut in ((found.columns, left), (found.rows, top))
    )
    return found._replace(columns=columns, rows=rows)


def center(pixels: np.ndarray) -> np.ndarray:
    """Return the central part of an image, at most MAX_SIDE pixels a side."""
    top, left = (max(0, side - MAX_SIDE) // 2 for side in pixels.shape[:2])
    return pixels[top : top + MAX_SIDE, left : left + MAX_SIDE]


def premultiply(pixels: np.ndarray) -> np.ndarray:
    """Return float32 pixels whose colors are multiplied by alpha, so that transparent pixels have no color."""
    image = pixels.astype(np.float32)
    if image.shape[2] == 4:
        image[..., :3] *= image[..., 3:] / 255
    return image


# ---- without smoothing


def exact_grid(image: np.ndarray) -> Grid | None:
    """Return the coarsest grid of squares with all edges of an image float (H, W, C); None if it may be chance."""
    positions = [np.flatnonzero(np.diff(lines, axis=1).any((0, 2))) + 1 for lines in (image, image.swapaxes(0, 1))]
    side = math.gcd(*(int(np.gcd.reduce(np.diff(each), initial=0)) for each in positions))
    if side < 2:
        return None
    offsets = [int(each[0]) % side if len(each) else 0 for each in positions]
    whole = sum(offset == 0 and length % side == 0 for offset, length in zip(offsets, image.shape[1::-1], strict=True))
    if (sum(max(0, len(each) - 1) for each in positions) + whole) * math.log2(side) < MIN_BITS:
        return None
    return Grid(Axis(side, offsets[0]), Axis(side, offsets[1]), 1.0, True)


# ---- with smoothing, noise, or cells of different sizes


class Peak(NamedTuple):
    confidence: float = 0.0  # amplitude of the periodogram, relative to that of edges that are all on the grid
    evidence: float = 0.0  # negative logarithm of the probability that random edges have it
    frequency: float = 0.0  # cells per pixel
    smoothing: float = 0.0

    @property
    def is_grid(self) -> bool:
        least = MIN_CONFIDENCE_OF_TWO if self.frequency > 1 / MAX_OF_TWO else MIN_CONFIDENCE
        return self.confidence >= least and self.evidence >= MIN_EVIDENCE


def smoothed_grid(image: np.ndarray) -> Grid | None:
    """Return the grid of an image float (H, W, C) whose cells may be blurred, noisy, or cropped; None without one."""
    gradients = [gradient(image), gradient(image.swapaxes(0, 1))]
    profiles = [[edge_profile(lines, smoothing) for smoothing in SMOOTHING] for lines in gradients]
    for groups in ([[0, 1]], [[0], [1]]):  # squares, else rectangles
        found = [max(highest([profiles[axis][n] for axis in axes], s) for n, s in enumerate(SMOOTHING)) for axes in groups]
        if all(peak.is_grid for peak in found):
            peaks = found * (2 // len(found))
            axes = [
                refine(profiles[axis][SMOOTHING.index(peak.smoothing)], peak.frequency, image.shape[1 - axis])
                for axis, peak in enumerate(peaks)
            ]
            if max(axes[0].period / axes[1].period, axes[1].period / axes[0].period) > MAX_ASPECT:
                continue
            grid = Grid(axes[0], axes[1], min(peak.confidence for peak in found), False)
            return explained(image, grid)
    return None


def explained(image: np.ndarray, grid: Grid) -> Grid | None:
    """Return a grid with the blur that explains an image best; None if cells of one color do not explain it."""
    part = image[:MAX_PART, :MAX_PART]
    residual = {blur: misfit(part, grid, blur) for blur in BLURS}
    blur = min(residual, key=lambda each: residual[each] * (1 if each else SHARP))
    if residual[blur] > MAX_RESIDUAL * part.var((0, 1)).mean():
        return None
    return grid._replace(blur=blur)


def gradient(image: np.ndarray) -> np.ndarray:
    """Return the largest difference of a channel between neighbors in a line, float (lines, W - 1)."""
    lines = image[:: -(-len(image) // MAX_LINES)]
    return np.abs(np.diff(lines, axis=1)).max(2)


def edge_profile(steps: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the weight of the edges between pixel n and n + 1 of all lines: local maxima of a smoothed gradient."""
    if smoothing:
        steps = gaussian_filter1d(steps, smoothing, mode="constant")
    beside = np.pad(steps, ((0, 0), (1, 1)))
    peaks = (steps > beside[:, :-2]) & (steps >= beside[:, 2:])
    weights = steps * steps / (steps * steps + NOISE**2)
    return np.where(peaks, weights, 0).sum(0)


def highest(profiles: list[np.ndarray], smoothing: float) -> Peak:
    """Return the lowest frequency whose peak in the periodograms of all profiles is nearly as high as the highest."""
    total = [profile.sum() for profile in profiles]
    samples = [weight**2 / max((profile**2).sum(), 1e-9) for weight, profile in zip(total, profiles)]  # effective number
    used = [axis for axis, count in enumerate(samples) if count >= MIN_SAMPLES] or [int(np.argmax(samples))]
    length = max(map(len, profiles)) + 1
    points = 1 << math.ceil(math.log2(OVERSAMPLING * length))
    spectra = [np.abs(np.fft.rfft(profiles[axis], points)) / max(total[axis], 1e-9) for axis in used]
    height = np.minimum.reduce(spectra)
    low, high = math.ceil(points * MIN_CELLS / length), math.floor(points / max(2.0, 4 * smoothing))
    if low >= high:
        return Peak()
    band = height[low - 1 : high + 1]
    band = np.append(band, 0) if high == points // 2 else np.append(band, height[high + 1])
    inner = band[1:-1]
    is_peak = (inner >= band[:-2]) & (inner >= band[2:]) & (inner >= FUNDAMENTAL * inner.max())
    if not is_peak.any():
        return Peak()
    place = int(np.argmax(is_peak))
    place += int(np.argmax(inner[place : place + points // length]))  # the minimum of two axes has side peaks
    evidence = sum(samples[axis] * each[low + place] ** 2 for axis, each in zip(used, spectra))
    return Peak(float(inner[place]), float(evidence), (low + place) / points, smoothing)


def refine(profile: np.ndarray, frequency: float, length: int) -> Axis:
    """Return the grid whose lines are nearest to the edges of a profile, near a frequency.

    The period is a whole number of pixels, or a whole number of cells has the length of the image, if lines move by
    less than half a pixel for it.
    """
    positions = np.arange(1, len(profile) + 1)
    near = frequency + np.linspace(-0.5, 0.5, 65) / length
    waves = np.exp(-2j * np.pi * near[:, None] * positions) @ profile
    period = 1 / near[np.abs(waves).argmax()]
    cells = length / period
    if abs(round(period) - period) * cells < MAX_SHIFT:
        period = float(round(period))
    elif abs(round(cells) - cells) * period < MAX_SHIFT:
        period = length / round(cells)
    offset = np.angle(np.exp(2j * np.pi / period * positions) @ profile) / (2 * np.pi) * period
    offset = round(offset) % period if period == round(period) else offset % period
    return Axis(max(2.0, period), offset)


# ---- colors


def restore(pixels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return pixel art at its own size, uint8 (h, w, C), of an enlarged image uint8 (H, W, C) with straight alpha."""
    rows, columns = grid.rows.edges(pixels.shape[0]), grid.columns.edges(pixels.shape[1])
    if grid.exact:
        return pixels[(rows[:-1] + rows[1:]) // 2][:, (columns[:-1] + columns[1:]) // 2]
    image = premultiply(pixels)
    return to_straight(deconvolve(image, grid, grid.blur) if grid.blur else central_medians(image, rows, columns))


def central_medians(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the median color of the central half of each cell, float (h, w, C).

    Args:
        rows, columns: the borders of cells.
    """
    bands = [[(start, stop) for start, stop in zip(*central(edges))] for edges in (rows, columns)]
    for axis, each in enumerate(bands):
        image = np.concatenate([np.median(image.take(range(*band), axis), axis, keepdims=True) for band in each], axis)
    return image


def central(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    margin = np.diff(edges) // 4
    return edges[:-1] + margin, edges[1:] - margin


def mixing(axis: Axis, length: int, blur: float) -> csr_array:
    """Return the weight of each cell in each pixel of a line, (length, cells): cells blurred by a Gaussian.

    Args:
        blur: standard deviation, in cells.
    """
    edges = axis.edges(length).astype(float)
    edges[0], edges[-1] = -np.inf, np.inf  # the color of the outer cells goes on
    sigma = max(blur * axis.period, 1e-3)
    covered = ndtr((edges[None] - np.arange(length)[:, None] - 0.5) / sigma)
    weights = np.diff(covered, axis=1)
    return csr_array(np.where(weights > 1e-3, weights, 0))


def deconvolve(image: np.ndarray, grid: Grid, blur: float) -> np.ndarray:
    """Return the colors of cells float (h, w, C) that give an image (H, W, C) when blurred, by least squares."""
    for number, axis in enumerate((grid.rows, grid.columns)):
        weights = mixing(axis, image.shape[number], blur)
        lines = np.moveaxis(image, number, 0)
        solved = splu((weights.T @ weights).tocsc()).solve((weights.T @ lines.reshape(len(lines), -1)).astype(float))
        image = np.moveaxis(solved.reshape(-1, *lines.shape[1:]), 0, number)
    return image


def misfit(image: np.ndarray, grid: Grid, blur: float) -> float:
    small = np.clip(deconvolve(image, grid, blur), 0, 255)
    rows, columns = (mixing(axis, n, blur) for axis, n in zip((grid.rows, grid.columns), image.shape, strict=False))
    again = np.moveaxis(np.tensordot((rows @ small.reshape(len(small), -1)).reshape(-1, *small.shape[1:]), columns.toarray(), (1, 1)), 2, 1)
    return float(np.square(again - image).mean())


def to_straight(image: np.ndarray) -> np.ndarray:
    """Return uint8 with straight alpha of float pixels (h, w, C) with multiplied colors."""
    image = np.clip(image, 0, 255)
    if image.shape[2] == 4:
        alpha = image[..., 3:]
        alpha[alpha < OPAQUE] = 0
        alpha[alpha > 255 - OPAQUE] = 255
        image[..., :3] *= np.where(alpha > 0, 255 / np.maximum(alpha, 1), 0)
    return np.rint(np.clip(image, 0, 255)).astype(np.uint8)
