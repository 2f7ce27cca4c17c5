"""Choose a closed form without a ground truth.

The kind of the map of colors is chosen by cross-validation over the images of both sides, and its position by a test
of whether the mapped inputs vary with the position as the targets do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.networks.transfer.color_map import ColorMap
from gan.networks.transfer.fit import (
    KINDS,
    SAMPLES,
    Levels,
    all_kinds,
    draw_pixels,
    fit,
    opaque_colors,
    with_position,
)
from gan.networks.transfer.position_test import contrasts, hotelling
from gan.networks.transfer.quantiles import quantiles

DIRECTIONS = 64  # of the sliced distance
LEVELS = np.linspace(0.005, 0.995, 200)
FOLDS = 4
UNCHANGED = "unchanged"  # name of the inputs among the maps
HELD_OUT_SAMPLES = 20_000  # pixels of each side for a fit of a fold, and for its distance
POSITIONS = ("radial", "frame")
DEFAULT = "transport"  # of KINDS
MARGIN = 0.08  # by which the distance of another kind must be smaller, relative to that of the default
SIGNIFICANCE = 1e-4  # p-value below which a map depends on the position
MIN_IMAGES = 2 * FOLDS  # of each side


class Choice(NamedTuple):
    """The chosen closed form, fitted to all images.

    Attributes:
        kind: its map of colors, of KINDS.
        position: "radial", "frame" or None.
        distances: held-out distance of each of KINDS to the targets, and of the unchanged inputs; empty if there are
            too few images.
        p_value: probability of such a difference in position, after the map of colors, if there is none.
    """

    kind: str
    position: str | None
    color_map: ColorMap
    distances: Mapping[str, float] = MappingProxyType({})
    p_value: float = math.nan

    def describe(self) -> str:
        """Return the chosen closed form and what it was chosen by, in one line."""
        name = f"{self.kind}, with {self.position} position" if self.position else self.kind
        if not self.distances:
            return f"{name} (fewer than {MIN_IMAGES} training images on a side are too few to compare color maps)"
        listed = ", ".join(f"{kind} {distance:.4f}" for kind, distance in self.distances.items())
        unchanged = min(self.distances, key=lambda kind: self.distances[kind]) == UNCHANGED
        note = "; no color map is nearer than the unchanged images" if unchanged else ""
        tested = f"test of dependence on the position: p = {self.p_value:.2g}"
        return f"{name} (held-out color distances, lower is better: {listed}{note}; {tested})"


def choose(
    a: Tensor, b: Tensor, seed: int = 0, kind: str | None = None, position: str | None = None, samples: int = SAMPLES
) -> Choice:
    """Fit the closed forms from images a to images b, uint8 (N, C, H, W), and return the best.

    Images have a side of at least 50 pixels and visible pixels. RGBA is premultiplied. With fewer than MIN_IMAGES
    images on a side nothing is compared: what is not given is linear and without position.

    Args:
        kind: one of KINDS to use; None chooses.
        position: "radial", "frame", "none" for a map of colors alone; None chooses.
        samples: pixels of each side for the fit.
    """
    pixels = draw_pixels(a, seed, samples), draw_pixels(b, seed + 1, samples)
    if min(len(a), len(b)) < MIN_IMAGES:
        kind, position = kind or "linear", None if position == "none" else position
        return Choice(kind, position, fit(*pixels, kind, position).color_map())
    distances = held_out_distances(a, b, seed, min(samples, HELD_OUT_SAMPLES))
    kind = kind or best_kind(distances)
    change = KINDS[kind](pixels[0].levels, pixels[1].levels)
    maps = {name: with_position(change, *pixels, name).color_map() for name in (None, *POSITIONS)}
    source, target = opaque_colors(a), contrasts(opaque_colors(b))
    tests = {name: position_tests(each, source, target) for name, each in maps.items()}
    p_value = min(p for _, p in tests[None])
    if position is None and p_value < SIGNIFICANCE:
        position = min(POSITIONS, key=lambda name: sum(statistic for statistic, _ in tests[name]))
    chosen = position if position in POSITIONS else None
    return Choice(kind, chosen, maps[chosen], distances, p_value)


def best_kind(distances: dict[str, float]) -> str:
    """Return the default kind, unless another is nearer by MARGIN.

    Smaller differences come from the contents of the images.
    """
    nearest = min(KINDS, key=lambda kind: distances[kind])
    return nearest if distances[nearest] < (1 - MARGIN) * distances[DEFAULT] else DEFAULT


@torch.inference_mode()
def position_tests(change: ColorMap, source: Tensor, target: dict[str, np.ndarray]) -> list[tuple[float, float]]:
    """Return F statistics and p-values of the differences in position between mapped inputs and targets.

    Args:
        source: colors of the inputs (N, 3, H, W), in levels.
        target: contrasts of the targets.
    """
    mapped = contrasts((change(source / 127.5 - 1) + 1) * 127.5)
    return [hotelling(mapped[kind], target[kind]) for kind in POSITIONS]


def held_out_distances(a: Tensor, b: Tensor, seed: int, samples: int) -> dict[str, float]:
    """Return the mean held-out distance of each kind to images b, and that of the unchanged images a.

    A fold fits each kind to 3/4 of the images of both sides, and compares the rest.
    """
    found: dict[str, list[float]] = {kind: [] for kind in (*KINDS, UNCHANGED)}
    for fold in range(FOLDS):
        (a_fit, a_held_out), (b_fit, b_held_out) = (
            [draw_pixels(part, seed + side, samples).levels for part in parts(images, fold, seed)]
            for side, images in enumerate((a, b))
        )
        for name, change in (all_kinds(a_fit, b_fit) | {UNCHANGED: lambda levels: levels}).items():
            mapped = change(a_held_out).clip(0, 255)
            found[name].append(sliced_wasserstein(mapped / 255, b_held_out / 255))
    return {name: fmean(distances) for name, distances in found.items()}


def parts(images: Tensor, fold: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the images to fit to and the held-out images of a fold."""
    order = np.random.default_rng(seed).permutation(len(images))
    held_out = np.arange(len(images)) % FOLDS == fold
    return images[order[~held_out]], images[order[held_out]]


def sliced_wasserstein(x: Levels, y: Levels) -> float:
    """Return the sliced Wasserstein distance of order 1 between the rows of x (n, D) and y (m, D).

    Bonneel, Rabin, Peyré, Pfister, "Sliced and Radon Wasserstein Barycenters of Measures", 2015.
    """
    axes = np.random.default_rng(3).standard_normal((DIRECTIONS, x.shape[1]))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    gaps = (quantiles(x @ axis, LEVELS) - quantiles(y @ axis, LEVELS) for axis in axes)
    return float(np.mean([np.abs(gap).mean() for gap in gaps]))
