"""Find the cells of pixel art whose cells differ in size, as image generators draw it.

The borders along an axis are those that have the most edges on them while their distances stay near the side of a cell:
a sequence that dynamic programming finds, as it finds the beats of music whose tempo varies (Ellis, "Beat Tracking by
Dynamic Programming", 2007).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.ndimage import gaussian_filter1d

from gan.data.pixel_grid import MIN_CELLS, central_medians, edge_profile, gradient, premultiply, to_straight

SMALLEST = 3.0  # side of a cell in pixels
RATIO = 1.04  # between sides that are tried
GAPS = np.linspace(0.6, 1.6, 21)  # distances of borders, relative to the side
STIFFNESS = 1.5  # cost of distances that differ from the side: of the mean squared logarithm of their ratio
SMOOTHING = 0.5  # standard deviation of the gradient and of the profile, in pixels
MIN_SHARE = 0.15  # of edges on borders, beyond chance, for an image to have cells


def find_cells(pixels: np.ndarray, side: float | None = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the borders of rows and columns of cells, which are nearly squares, from 0 to the length.

    Args:
        pixels: uint8 (H, W, 3 or 4) with straight alpha.
        side: mean side of the cells in pixels; None finds it.

    Returns:
        None if no sides of cells explain the edges of the image.
    """
    image = premultiply(pixels)
    largest = max(pixels.shape[:2]) / MIN_CELLS
    if min(pixels.shape[:2]) < 2 or largest < SMALLEST:
        return None
    profiles = [edges_of(lines) for lines in (image.swapaxes(0, 1), image)]
    sides = SMALLEST * RATIO ** np.arange(1 + int(math.log(largest / SMALLEST, RATIO)))
    sides = sides if side is None else np.array([side])
    (down, rows), (across, columns) = (best_borders(profile, sides) for profile in profiles)
    shares = (down + across) / 2
    best = int(shares.argmax())
    return (rows[best], columns[best]) if shares[best] >= MIN_SHARE else None


def edges_of(image: np.ndarray) -> np.ndarray:
    """Return the share of edges between the pixels n - 1 and n of rows of an image (N, W, C), float (W + 1,)."""
    profile = np.pad(edge_profile(gradient(image), SMOOTHING), 1)
    profile = gaussian_filter1d(profile, SMOOTHING, mode="constant")
    return profile / max(float(profile.sum()), 1e-9)


def best_borders(profile: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the share of edges on the best borders for each side of cells, minus that of chance, and the borders.

    Args:
        profile: share of edges at each place, (L + 1,).
        sides: in pixels, (S,).
    """
    length, number = len(profile) - 1, np.arange(len(sides))[:, None]
    gaps = np.unique(np.rint(sides[:, None] * GAPS).astype(int), axis=1)  # (S, G)
    costs = STIFFNESS * np.log(gaps / sides[:, None]) ** 2 * sides[:, None] / length
    best = np.full((len(sides), length + 1), -np.inf)
    before = np.zeros((len(sides), length + 1), int)
    best[:, 0] = 0
    for place in range(1, length + 1):
        start = place - gaps
        scores = np.where(start >= 0, best[number, start] - costs, -np.inf)
        chosen = scores.argmax(1)
        best[:, place] = scores[number[:, 0], chosen] + profile[place] - 1 / length
        before[:, place] = start[number[:, 0], chosen]
    return best[:, length], [path(each) for each in before]


def path(before: np.ndarray) -> np.ndarray:
    """Return the borders from 0 to the last place, given the border before each place."""
    places = [len(before) - 1]
    while places[-1] > 0:
        places.append(int(before[places[-1]]))
    return np.array(places[::-1])


def restore(pixels: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return an image with one pixel, the median of the center, for each cell: uint8 (h, w, C), straight alpha."""
    return to_straight(central_medians(premultiply(pixels), rows, columns))
