"""Fit color maps in closed form to two sets of images of different content.

Levels are in 0..255. Each function takes the pixels of the inputs and of the targets, and none needs pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.networks.closed_form.color_map import (
    NUM_BASES,
    POWERS,
    TABLE_SIZE,
    ColorMap,
    bases,
    identity_table,
    sampled,
    squared_radius,
)
from gan.settings import COLOR_MAPS

Levels = np.ndarray  # (n, 3), float64 in 0..255
Change = Callable[[Levels], Levels]

CHUNK = 50  # images that are mapped together
VISIBLE = 128  # alpha from which a pixel counts
SAMPLES = 60_000  # pixels of each side for a fit
QUANTILES = np.linspace(0, 1, 65)
ROUNDS = 20  # rotations of the distribution transfer
GRID = 17  # entries per axis of the table of a transport
SMOOTHNESS = {"transport": 50.0, "flexible_transport": 2.0}  # weights of the neighbors of an entry, relative to its
# pixels if spread evenly
SMOOTHING_STEPS = 150
BINS = 12  # of the radius, for the correction
RIDGE = 1e-5  # penalty of the coefficients of a correction, relative to the number of quantiles
MAX_SLOPE = 4.0  # of a map along each axis, in levels per level: a steeper one shows the noise of JPEG


class Pixels(NamedTuple):
    """Pixels of a set of images: levels (n, 3), and squared radii (n,) as in `squared_radius`."""

    levels: Levels
    r2: np.ndarray


def draw_pixels(images: Tensor, seed: int = 0, count: int = SAMPLES) -> Pixels:
    """Return random visible pixels of images uint8 (N, C, H, W); RGBA is premultiplied.

    Levels get uniform noise of one level, so that quantiles of few colors are distinct.
    """
    rng = np.random.default_rng(seed)
    height, width = images.shape[2:]
    index, row, column = (torch.from_numpy(rng.integers(side, size=count)) for side in (len(images), height, width))
    found = images[index, :, row, column].double()  # (n, C)
    visible = torch.ones(count, dtype=torch.bool)
    if found.shape[1] == 4:
        visible = found[:, 3] >= VISIBLE
        found = found[:, :3] * 255 / found[:, 3:].clamp(min=1)
    levels = found.expand(-1, 3).numpy() + rng.uniform(-0.5, 0.5, (count, 3))
    r2 = squared_radius((row.double() + 0.5) / height, (column.double() + 0.5) / width)
    return Pixels(levels[visible.numpy()], r2[visible].numpy())


def quantiles(x: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return np.quantile(x, fractions) for x (n,), up to rounding: it sorts once, which is 20 times as fast."""
    return np.interp(fractions * (len(x) - 1), np.arange(len(x)), np.sort(x))


def linear(a: Levels, b: Levels) -> Change:
    """Return the linear map of least transport cost that gives `a` the mean and covariance of `b`.

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer", 2007. A
    variance of one level is added, so that constant colors stay unchanged. No direction is stretched by more than
    MAX_SLOPE.
    """
    a_cov, b_cov = (np.cov(x.T) + np.eye(3) for x in (a, b))
    root, inverse = power(a_cov, 0.5), power(a_cov, -0.5)
    matrix = power(inverse @ power(root @ b_cov @ root, 0.5) @ inverse, 1, MAX_SLOPE)
    return lambda x: (x - a.mean(0)) @ matrix.T + b.mean(0)


def histogram(a: Levels, b: Levels) -> Change:
    curves = [(quantiles(a[:, c], QUANTILES), quantiles(b[:, c], QUANTILES)) for c in range(3)]
    return bounded(lambda x: np.stack([np.interp(x[:, c], *curve) for c, curve in enumerate(curves)], 1))


def fit_kinds(a: Levels, b: Levels, kinds: Iterable[str] = COLOR_MAPS) -> dict[str, Change]:
    """Return maps of some COLOR_MAPS by their names.

    A transport is the linear map, followed by a smooth table that gives the result the distribution of `b`. Without the
    linear map, a distribution transfer also transfers the differences in content of the two sets. The smooth table
    after it adds only what a linear map cannot do. A flexible one is for looks with few colors or steep curves.
    """
    start = linear(a, b)
    before = start(a).clip(0, 255)
    after = transferred(before, b) if set(kinds) & set(SMOOTHNESS) else before

    def smoothed(smoothness: float) -> Change:
        table = smooth_table(before, after, smoothness)
        return bounded(lambda x: table(start(x).clip(0, 255)))

    simple = {"linear": start, "histogram": histogram(a, b)}
    return {kind: simple[kind] if kind in simple else smoothed(SMOOTHNESS[kind]) for kind in kinds}


def bounded(change: Change) -> Change:
    """Return a map as a table whose slope is at most MAX_SLOPE along each axis.

    It is the mean of the largest such table below the map and of the smallest above it (McShane, 1934).
    """
    table = table_of(change)
    table = (largest_below(table) - largest_below(-table)) / 2

    def interpolated(levels: Levels) -> Levels:
        colors = torch.from_numpy(levels.T[None, :, None] / 127.5 - 1).float()  # (1, 3, 1, n)
        return np.asarray((sampled(table[None], colors)[0, :, 0].T.double().numpy() + 1) * 127.5)

    return interpolated


def largest_below(table: Tensor) -> Tensor:
    """Return the largest table (3, P, P, P) that is at most `table` and has a slope of at most MAX_SLOPE."""
    rise = torch.linspace(0, 2 * MAX_SLOPE, TABLE_SIZE)
    for axis in (1, 2, 3):
        along = table.movedim(axis, -1)
        for _ in range(2):  # upwards, then downwards
            along = ((along - rise).cummin(-1).values + rise).flip(-1)
        table = along.movedim(-1, axis)
    return table


def transferred(a: Levels, b: Levels) -> Levels:
    """Return the colors `a`, moved so that their distribution is that of `b`.

    Pitié, Kokaram, Dahyot, "Automated colour grading using colour distribution transfer", 2007: the quantiles along
    three random orthogonal axes are matched, repeatedly.
    """
    rng, levels, a = np.random.default_rng(0), np.linspace(0, 1, 129), a.copy()
    for _ in range(ROUNDS):
        axes, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        u, v = a @ axes, b @ axes
        for c in range(3):
            u[:, c] = np.interp(u[:, c], quantiles(u[:, c], levels), quantiles(v[:, c], levels))
        a = u @ axes.T
    return a


def visible(images: Tensor) -> Tensor:
    """Return the images uint8 (N, C, H, W) that have a visible pixel."""
    return images[(images[:, 3] >= VISIBLE).flatten(1).any(1)] if images.shape[1] == 4 else images


def smooth_table(x: Levels, y: Levels, smoothness: float) -> Change:
    """Return a map that adds the mean of y - x of pixels on a grid of colors, as smooth as the number of pixels allows.

    It minimizes the squared error of the pixels plus the squared differences of neighboring entries (Jacobi's method).
    """
    sums = np.zeros((4, GRID**3))
    for entry, share in corners(x):
        values = (share, *(share * (y - x)[:, c] for c in range(3)))
        sums += np.stack([np.bincount(entry, value, GRID**3) for value in values])
    weight = sums[0].reshape(GRID, GRID, GRID, 1)
    total = sums[1:].T.reshape(GRID, GRID, GRID, 3)
    weight_of_neighbors = smoothness * len(x) / GRID**3
    grid = np.zeros_like(total)
    for _ in range(SMOOTHING_STEPS):
        p = np.pad(grid, ((1, 1),) * 3 + ((0, 0),), mode="edge")
        near = p[2:, 1:-1, 1:-1] + p[:-2, 1:-1, 1:-1] + p[1:-1, 2:, 1:-1] + p[1:-1, :-2, 1:-1]
        near += p[1:-1, 1:-1, 2:] + p[1:-1, 1:-1, :-2]
        grid = (total + weight_of_neighbors * near) / (weight + 6 * weight_of_neighbors)
    shift = grid.reshape(-1, 3)
    return lambda levels: levels + sum(share[:, None] * shift[entry] for entry, share in corners(levels))


def corners(x: Levels) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices (n,) of the eight entries around each color, and their shares (n,)."""
    place = x.clip(0, 255) / 255 * (GRID - 1)
    lower = np.minimum(place.astype(int), GRID - 2)
    fraction = place - lower
    for corner in range(8):
        upper = np.array([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        share = np.where(upper, fraction, 1 - fraction).prod(1)
        yield np.ravel_multi_index((lower + upper).T, (GRID, GRID, GRID)), share


def correction(a: Pixels, b: Pixels) -> Tensor:
    """Return the coefficients (3, POWERS, NUM_BASES) of the correction by the radius.

    Where the quantiles of a channel differ between `a` and `b` in bins of the radius, a least-squares fit of all bins
    together gives a smooth correction.

    Args:
        a: pixels after the color map.
    """
    powers_a = bases(torch.from_numpy(a.r2)).numpy()
    edges = quantiles(a.r2, np.linspace(0, 1, BINS + 1))
    levels = np.linspace(0.02, 0.98, 33)
    coefficients = torch.zeros(3, POWERS, NUM_BASES)
    for c in range(3):
        rows, values = [], []
        for low, high in pairwise(edges):
            own_a, own_b = (a.r2 >= low) & (a.r2 <= high), (b.r2 >= low) & (b.r2 <= high)
            if not own_a.any() or not own_b.any():
                continue
            x, y = (quantiles(p.levels[own, c], levels) / 255 for p, own in ((a, own_a), (b, own_b)))
            middle = powers_a[:, own_a].mean(1)
            powers = np.stack([x**power for power in range(POWERS)], 1)  # (quantiles, POWERS)
            rows.append((powers[:, :, None] * middle).reshape(len(x), -1))
            values.append(y - x)
        matrix, target = np.concatenate(rows), np.concatenate(values)
        ridge = RIDGE * len(matrix) * np.eye(matrix.shape[1])
        solved = np.linalg.solve(matrix.T @ matrix + ridge, matrix.T @ target)
        coefficients[c] = torch.from_numpy(solved.reshape(POWERS, -1)).float()
    return coefficients


def table_of(change: Change) -> Tensor:
    """Return a function of levels as a table (3, P, P, P) in [-1, 1]."""
    grid = identity_table(TABLE_SIZE).flatten(1).T.double().numpy()  # (P^3, 3)
    mapped = change((grid + 1) * 127.5) / 127.5 - 1
    return torch.from_numpy(mapped.T).float().reshape(3, *(TABLE_SIZE,) * 3)


def fit(a: Pixels, b: Pixels, kind: str) -> ColorMap:
    """Return a map of colors from `a` to `b`; `kind` is one of COLOR_MAPS."""
    return ColorMap(table_of(fit_kinds(a.levels, b.levels, [kind])[kind]))


def with_position(change: Change, a: Pixels, b: Pixels, position: str | None) -> ColorMap:
    """Return a closed form of a map of colors from `a` to `b`; if `position` is "radial", with a correction."""
    if position is None:
        return ColorMap(table_of(change))
    mapped = a._replace(levels=change(a.levels).clip(0, 255))
    return ColorMap(table_of(change), correction(mapped, b))


def power(symmetric: np.ndarray, exponent: float, most: float = np.inf) -> np.ndarray:
    """Return a power of a positive semidefinite matrix, with eigenvalues clamped above 0 and to at most `most`."""
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray(vectors @ np.diag((values.clip(1e-6) ** exponent).clip(max=most)) @ vectors.T)
