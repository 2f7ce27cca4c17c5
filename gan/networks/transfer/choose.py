"""Choose a closed form without a ground truth, by cross-validation over the images of both sides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from gan.networks.transfer.fit import KINDS, ClosedForm, Pixels, draw_pixels, with_position

DIRECTIONS = 64
LEVELS = np.linspace(0.005, 0.995, 200)
FOLDS = 4
SAMPLES = 20_000  # pixels of each part
POSITIONS = (None, "radial", "frame")


class Candidate(NamedTuple):
    """A closed form, by kind and position, with its distance to the targets on each fold."""

    kind: str
    position: str | None
    distances: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.position}" if self.position else self.kind


def sliced_wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """Return the sliced Wasserstein distance of order 1 between the rows of x (n, D) and y (m, D).

    Rabin, Peyré, Delon, Bernot, "Wasserstein Barycenter and its Application to Texture Mixing", 2011.
    """
    axes = np.random.default_rng(3).standard_normal((DIRECTIONS, x.shape[1]))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    gaps = (np.quantile(x @ axis, LEVELS) - np.quantile(y @ axis, LEVELS) for axis in axes)
    return float(np.mean([np.abs(gap).mean() for gap in gaps]))


def features(pixels: Pixels, levels: np.ndarray) -> np.ndarray:
    """Return color, radius and distance from the edge of pixels, (n, 5), all in 0..1."""
    return np.column_stack([levels / 255, np.sqrt(pixels.place("radial")), 2 * pixels.place("frame")])


def candidates(a: Tensor, b: Tensor, seed: int = 0) -> list[Candidate]:
    """Return all closed forms from images a to images b, uint8 (N, C, H, W), with their held-out distances."""
    found: dict[tuple[str, str | None], list[float]] = {(kind, place): [] for place in POSITIONS for kind in KINDS}
    for fold in range(FOLDS):
        (a_fit, a_held), (b_fit, b_held) = (
            [draw_pixels(part, seed + side, SAMPLES) for part in parts(images, fold, seed)]
            for side, images in enumerate((a, b))
        )
        goal = features(b_held, b_held.levels)
        for kind, make in KINDS.items():
            change = make(a_fit.levels, b_fit.levels)
            for place in POSITIONS:
                closed = with_position(change, a_fit, b_fit, place)
                found[kind, place].append(sliced_wasserstein(features(a_held, closed(a_held)), goal))
    return [Candidate(*name, tuple(distances)) for name, distances in found.items()]


def parts(images: Tensor, fold: int, seed: int) -> tuple[Tensor, Tensor]:
    order = np.random.default_rng(seed).permutation(len(images))
    held = order[fold::FOLDS]
    return images[np.setdiff1d(order, held)], images[held]
