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
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu
from scipy.special import ndtr

FEW_LINES = 16
MIN_BITS = 11.0  # evidence for a grid without smoothing: log2 of the probability that edges are on it by chance
SMOOTHING = (0.0, 0.7, 1.4, 2.8, 5.6)  # standard deviations for gradients in pixels; a cell has at least four of them
MIN_CELLS = 8  # along the longer side
MIN_SAMPLES = 4  # effective number of places of edges, for an axis to take part
NOISE = 16.0  # steps below this level, of 255, count little
OVERSAMPLING = 8  # of the frequencies of a periodogram
CLOSE = 1.1  # frequencies of one peak, at different smoothings
FUNDAMENTAL = 0.7  # a peak at this fraction of the highest one may be the fundamental frequency
MIN_CONFIDENCE = 0.4
MIN_CONFIDENCE_OF_TWO = 0.55  # for cells of about two pixels, because the chroma of JPEG has this period
MAX_OF_TWO = 2.2  # pixels
MIN_EVIDENCE = 8.0
MAX_ASPECT = 2.0  # of cells that are not squares
MAX_SHIFT = 0.6  # pixels over the whole image, for rounding a period to whole pixels
MAX_LINES = 96  # of an image, evenly spaced, for gradients
MAX_SIDE = 2048  # pixels; only the center of a larger image is searched
BLURS = (0.0, 0.2, 0.25, 0.3, 0.36)  # standard deviations to try, in cells; 0.3 is that of bilinear enlargement
REACH = 2  # cells, of a blur
SHARP = 0.7  # prefer cells without blur unless a blur lowers the residual below this fraction
MAX_RESIDUAL = 0.15  # maximum fraction of the variance of an image that blurred cells do not explain
FIT_PIXELS, FIT_CELLS = 256, 24  # side of the part of an image for comparing blurs: the larger of both
OPAQUE = 16  # alpha this near to 0 or 255 becomes 0 or 255, in smoothed images


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

    def all_edges(self, length: int) -> np.ndarray:
        """Return the borders of all cells that an image shows at least in part, int (cells + 1), from 0 to `length`."""
        inner = np.rint(np.arange(self.offset, length, self.period)).astype(int)
        return np.concatenate([[0], inner[(inner > 0) & (inner < length)], [length]])

    def moved(self, pixels: int) -> Axis:
        """Return the same lines in an image whose edge lies `pixels` before that of this one."""
        return Axis(self.period, (self.offset + pixels) % self.period)


class Grid(NamedTuple):
    columns: Axis  # the lines between columns of cells
    rows: Axis
    confidence: float  # 1: all edges are on the grid
    exact: bool = False  # all pixels of each cell have one color
    blur: float = 0.0  # standard deviation of the Gaussian that smoothed the edges of cells, in cells

    def size(self, height: int, width: int) -> tuple[int, int]:
        return len(self.rows.edges(height)) - 1, len(self.columns.edges(width)) - 1

    @property
    def factor(self) -> str:
        """The enlargement for messages, such as "4x", or "4x by 4.8x" of width and height."""
        across, down = (f"{axis.period:.3g}x" for axis in (self.columns, self.rows))
        return across if across == down else f"{across} by {down}"

    def moved(self, top: int, left: int) -> Grid:
        return self._replace(rows=self.rows.moved(top), columns=self.columns.moved(left))


def find_grid(pixels: np.ndarray) -> Grid | None:
    """Return the grid of enlarged pixel art, uint8 (H, W, 3 or 4) with straight alpha; None if there is none.

    Cells have at least two pixels a side. The longer side has at least eight cells, or fewer without smoothing. Cells
    are squares if squares explain the image.
    """
    part, top, left = center(pixels, MAX_SIDE, MAX_SIDE)
    image = premultiply(part)
    found = exact_grid(image) or smoothed_grid(image)
    return found and found.moved(top, left)


def grid_of_side(pixels: np.ndarray, side: float) -> Grid:
    """Return the grid with square cells of a side of at least two pixels that is nearest to the edges of an image."""
    part, top, left = center(pixels, MAX_SIDE, MAX_SIDE)
    image = premultiply(part)
    smoothing = max(each for each in SMOOTHING if 4 * each <= side)
    columns, rows = (align(edge_profile(gradient(lines), smoothing), side) for lines in (image, image.swapaxes(0, 1)))
    grid = Grid(columns, rows, 0.0)
    return (fit_blur(image, grid) or grid).moved(top, left)


def center(pixels: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """Return the central part of an image, at most of the given size, and its distances from the top and the left."""
    top, left = max(0, len(pixels) - height) // 2, max(0, pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width], top, left


def premultiply(pixels: np.ndarray) -> np.ndarray:
    """Return float32 pixels whose colors are multiplied by alpha, so that transparent pixels have no color."""
    image = pixels.astype(np.float32)
    if image.shape[2] == 4:
        image[..., :3] *= image[..., 3:] / 255
    return image


# ---- without smoothing


def exact_grid(image: np.ndarray) -> Grid | None:
    """Return the coarsest grid of squares with all edges of an image float (H, W, C); None if it may be chance."""
    for lines in (FEW_LINES, max(image.shape)):  # few lines are enough for most images without a grid
        positions = [edge_places(each[:: -(-len(each) // lines)]) for each in (image, image.swapaxes(0, 1))]
        side = math.gcd(*(int(np.gcd.reduce(np.diff(each), initial=0)) for each in positions))
        if side == 1:
            return None
    if side == 0:  # at most one edge along each axis
        return None
    offsets = [int(each[0]) % side if len(each) else 0 for each in positions]
    whole = sum(offset == 0 and length % side == 0 for offset, length in zip(offsets, image.shape[1::-1], strict=True))
    if (sum(max(0, len(each) - 1) for each in positions) + whole) * math.log2(side) < MIN_BITS:
        return None
    columns, rows = (Axis(float(side), float(offset)) for offset in offsets)
    return Grid(columns, rows, 1.0, exact=True)


def edge_places(rows: np.ndarray) -> np.ndarray:
    """Return the places in rows (N, W, C) where a pixel differs from the one before it in any row."""
    return np.flatnonzero(np.diff(rows, axis=1).any((0, 2))) + 1


# ---- with smoothing, noise, or cells that have no whole number of pixels


class Peak(NamedTuple):
    """A peak of a periodogram."""

    confidence: float = 0.0  # amplitude, relative to that of edges that are all on a grid
    evidence: float = 0.0  # negative logarithm of the probability that edges at random have it at this frequency
    frequency: float = 0.0  # cells per pixel
    smoothing: float = 0.0  # one of SMOOTHING

    @property
    def is_grid(self) -> bool:
        of_two = self.frequency * MAX_OF_TWO > 1
        return (
            self.confidence >= (MIN_CONFIDENCE_OF_TWO if of_two else MIN_CONFIDENCE) and self.evidence >= MIN_EVIDENCE
        )


def smoothed_grid(image: np.ndarray) -> Grid | None:
    """Return the grid of an image float (H, W, C) whose cells may be blurred, noisy or stretched; None without one."""
    profiles = [
        {smoothing: edge_profile(steps, smoothing) for smoothing in SMOOTHING}
        for steps in (gradient(image), gradient(image.swapaxes(0, 1)))
    ]
    lengths = image.shape[1::-1]
    both = highest(profiles)
    if both.is_grid:  # squares
        axes = refine([each[both.smoothing] for each in profiles], both.frequency, lengths)
        confidence = both.confidence
    else:  # rectangles
        peaks = [highest([each]) for each in profiles]
        if not all(peak.is_grid for peak in peaks):
            return None
        axes = [
            refine([each[peak.smoothing]], peak.frequency, [length])[0]
            for each, peak, length in zip(profiles, peaks, lengths, strict=True)
        ]
        confidence = min(peak.confidence for peak in peaks)
    columns, rows = axes
    if max(columns.period / rows.period, rows.period / columns.period) > MAX_ASPECT:
        return None
    return fit_blur(image, Grid(columns, rows, confidence))


def gradient(image: np.ndarray) -> np.ndarray:
    """Return the largest difference of a channel between neighbors in evenly spaced rows, float (rows, W - 1)."""
    rows = image[:: -(-len(image) // MAX_LINES)]
    return np.abs(np.diff(rows, axis=1)).max(2)


def edge_profile(steps: np.ndarray, smoothing: float) -> np.ndarray:
    """Return the weight of the edges between pixel n and n + 1 in all rows: local maxima of a smoothed gradient."""
    if smoothing:
        steps = gaussian_filter1d(steps, smoothing, mode="constant")
    beside = np.pad(steps, ((0, 0), (1, 1)))
    peaks = (steps > beside[:, :-2]) & (steps >= beside[:, 2:])
    squares = steps * steps
    return np.where(peaks, squares / (squares + NOISE**2), 0).sum(0)


def highest(profiles: Sequence[Mapping[float, np.ndarray]]) -> Peak:
    """Return the lowest peak over all smoothings that is nearly as high as the highest, for profiles of some axes."""
    peaks = [peak_of([each[smoothing] for each in profiles], smoothing) for smoothing in SMOOTHING]
    best = max(peaks)
    high = [peak for peak in peaks if peak.is_grid and peak.confidence >= FUNDAMENTAL * best.confidence]
    lowest = min((peak.frequency for peak in high), default=0.0)
    return max((peak for peak in high if peak.frequency < CLOSE * lowest), default=best)


def peak_of(profiles: Sequence[np.ndarray], smoothing: float) -> Peak:
    """Return the lowest peak in the periodograms of all profiles that is nearly as high as the highest one."""
    totals = np.array([profile.sum() for profile in profiles])
    samples = totals**2 / np.maximum([np.square(profile).sum() for profile in profiles], 1e-9)  # effective numbers
    used = [axis for axis, count in enumerate(samples) if count >= min(MIN_SAMPLES, samples.max())]
    length = max(map(len, profiles)) + 1
    points = 1 << math.ceil(math.log2(OVERSAMPLING * length))
    low, high = points * MIN_CELLS // length, int(points / max(2.0, 4 * smoothing))
    if low >= high:
        return Peak()
    spectra = np.stack([np.abs(np.fft.rfft(profiles[axis], points)) / max(totals[axis], 1e-9) for axis in used])
    heights = np.pad(spectra.min(0), (0, 1))[low - 1 : high + 2]
    band = heights[1:-1]
    peaks = (band >= heights[:-2]) & (band >= heights[2:]) & (band >= FUNDAMENTAL * band.max())
    if not peaks.any():
        return Peak()
    first = int(peaks.argmax())
    place = first + int(band[first : first + points // length].argmax())  # a minimum of axes has peaks beside the main
    evidence = samples[used] @ np.square(spectra[:, low + place])  # of the Rayleigh test, for each axis
    return Peak(float(band[place]), float(evidence), (low + place) / points, smoothing)


def refine(profiles: Sequence[np.ndarray], frequency: float, lengths: Sequence[int]) -> list[Axis]:
    """Return the grids whose lines are nearest to the edges of profiles, near a frequency that all of them share.

    The period becomes a whole number of pixels, or a whole number of cells gets the length of an image, if lines move
    by less than a pixel for it.
    """
    near = frequency + np.linspace(-0.5, 0.5, 65) / max(lengths)
    heights = np.zeros(len(near))
    for profile in profiles:
        positions = np.arange(1, len(profile) + 1)
        heights += np.abs(np.exp(-2j * np.pi * near[:, None] * positions) @ profile)
    period = float(1 / near[heights.argmax()])
    whole = float(round(period))
    axes = []
    for profile, length in zip(profiles, lengths, strict=True):
        cells = max(1, round(length / period))
        if abs(whole - period) * max(lengths) < MAX_SHIFT * period:
            own = whole
        else:
            own = length / cells if abs(length / period - cells) * period < MAX_SHIFT else period
        axes.append(align(profile, max(2.0, own)))
    return axes


def align(profile: np.ndarray, period: float) -> Axis:
    """Return the grid of a period whose lines are nearest to the edges of a profile."""
    period = float(period)
    positions = np.arange(1, len(profile) + 1)
    offset = float(np.angle(np.exp(2j * np.pi / period * positions) @ profile)) / (2 * np.pi) * period
    return Axis(period, float(round(offset) if period.is_integer() else offset) % period)


# ---- colors


def restore(pixels: np.ndarray, grid: Grid) -> np.ndarray:
    """Return pixel art at its own size, uint8 (h, w, C), of an enlarged image uint8 (H, W, C) with straight alpha.

    Cells of one color give it back exactly. Others give the median of their central half, or, if they are blurred, the
    colors that explain the image best.
    """
    rows, columns = grid.rows.edges(len(pixels)), grid.columns.edges(pixels.shape[1])
    if grid.exact:
        return pixels[(rows[:-1] + rows[1:]) // 2][:, (columns[:-1] + columns[1:]) // 2]
    image = premultiply(pixels)
    return to_straight(deblurred(image, grid, grid.blur) if grid.blur else central_medians(image, rows, columns))


def central_medians(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the medians of the central halves of cells, float (h, w, C), whose borders are at rows and columns."""
    for axis, edges in enumerate((rows, columns)):
        margins = np.diff(edges) // 4
        parts = [np.arange(*ends) for ends in zip(edges[:-1] + margins, edges[1:] - margins, strict=True)]
        image = np.stack([np.median(image.take(part, axis), axis) for part in parts], axis)
    return image


def fit_blur(image: np.ndarray, grid: Grid) -> Grid | None:
    """Return a grid with the blur that explains an image best; None if none does."""
    height, width = (max(FIT_PIXELS, math.ceil(FIT_CELLS * axis.period)) for axis in (grid.rows, grid.columns))
    part, top, left = center(image, height, width)
    here = grid.moved(-top, -left)
    residuals = {
        blur: float(np.square(blurred(deblurred(part, here, blur), here, blur, part.shape) - part).mean())
        for blur in BLURS
    }
    blur = min(BLURS, key=lambda blur: residuals[blur] * (1 if blur else SHARP))
    return grid._replace(blur=blur) if residuals[blur] <= MAX_RESIDUAL * part.var((0, 1)).mean() else None


def deblurred(image: np.ndarray, grid: Grid, blur: float) -> np.ndarray:
    """Return the colors of cells, float (h, w, C) in 0..255, that `blurred` turns into an image, by least squares."""
    for place, axis in enumerate((grid.rows, grid.columns)):
        weights = cell_weights(axis, image.shape[place], blur)
        image = along(place, weights.T.__matmul__, image)
        image = along(place, splu((weights.T @ weights).tocsc()).solve, image)
    return image.clip(0, 255)


def blurred(small: np.ndarray, grid: Grid, blur: float, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image (H, W, C) of blurred cells with the colors of `small` (h, w, C)."""
    for place, axis in enumerate((grid.rows, grid.columns)):
        small = along(place, cell_weights(axis, shape[place], blur).__matmul__, small)
    return small


def along(axis: int, change: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> np.ndarray:
    """Apply a function of columns (n, lines) along an axis of an image (H, W, C)."""
    lines = np.moveaxis(image, axis, 0).astype(np.float64)
    changed = change(lines.reshape(len(lines), -1))
    return np.moveaxis(changed.reshape(-1, *lines.shape[1:]), 0, axis)


def cell_weights(axis: Axis, length: int, blur: float) -> csc_array:
    """Return the weight of each cell in each pixel of a line, (length, cells). The outer cells go on outside."""
    edges = axis.edges(length).astype(np.float64)
    pixels = np.arange(length) + 0.5
    cells = np.searchsorted(edges, pixels)[:, None] - 1 + np.arange(-REACH, REACH + 1)
    inside = (cells >= 0) & (cells < len(edges) - 1)
    edges[0], edges[-1] = -np.inf, np.inf
    cells = cells.clip(0, len(edges) - 2)
    ends = (edges[np.stack([cells, cells + 1])] - pixels[:, None]) / max(blur * axis.period, 1e-6)
    weights = np.diff(ndtr(ends), axis=0)[0] * inside
    rows = np.repeat(np.arange(length), cells.shape[1])
    return csc_array((weights.reshape(-1), (rows, cells.reshape(-1))), shape=(length, len(edges) - 1))


def to_straight(image: np.ndarray) -> np.ndarray:
    """Return uint8 with straight alpha of pixels (h, w, C) in 0..255 whose colors are multiplied by alpha."""
    if image.shape[2] < 4:
        return np.rint(image).astype(np.uint8)
    alpha = image[..., 3:]
    alpha = np.where(alpha < OPAQUE, 0, np.where(alpha > 255 - OPAQUE, 255, alpha))
    colors = np.where(alpha > 0, image[..., :3] * 255 / np.maximum(image[..., 3:], 1), 0)
    return np.rint(np.concatenate([colors.clip(0, 255), alpha], -1)).astype(np.uint8)
