"""Choose a closed form without a ground truth.

The kind of the map of colors is chosen by cross-validation over the images of both sides. The images stay unchanged if
their colors do not differ from those of the targets by more than chance. The map gets a vignette if most targets have
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.networks.closed_form.color_map import ColorMap, luminance
from gan.networks.closed_form.fit import (
    SAMPLES,
    VISIBLE,
    Change,
    Levels,
    Pixels,
    draw_pixels,
    fit_kinds,
    quantiles,
    with_position,
)
from gan.settings import COLOR_MAPS

DIRECTIONS = 64  # of the sliced distance
LEVELS = np.linspace(0.005, 0.995, 200)
FOLDS = 4
UNCHANGED = "unchanged"  # name of the identity among the maps
HELD_OUT_SAMPLES = 20_000  # pixels of each side for a fit of a fold, and for its distance
DEFAULT = "transport"  # of COLOR_MAPS
MARGIN = 0.08  # by which the distance of another kind must be smaller, relative to that of the default
MIN_IMAGES = 2 * FOLDS  # of each side
SIGNIFICANCE = 0.01  # p-value below which two sets of images differ
RIDGE = 1e-3  # added to variances, in squared levels: images of one color have none
OUTLIER = 3.0  # an image is left out if it is farther from the median than 9 of 10 images are, by this factor
FLOOR = 2.0  # levels added to the distance of 9 of 10 images: those of black-and-white images have a chroma of 0
EDGE = 16  # levels per pixel: a steeper gradient is an edge, which belongs to the content
MOST = 2 / 3  # of the pairs of an input and a target: the target has the stronger vignette
EVENNESS = 0.62  # minimum of `evenness` of a chosen map; looks have 0.66 to 1, sets that show other things 0.5 to 0.6
MIN_CONTRAST = 4.0  # levels; images with less have no contrast to lose
BLEACHED = 0.1  # maximum of `bleached` of a chosen map; looks have 0 to 0.05, sets that show other things 0.2 to 0.3
EXTREME = 5.0  # levels from black or white
WEIGHTS = (1, 0.6, 0.4, 0.2)  # of a map, against the identity: the first with which `moderated` keeps images
IDENTITY: Change = lambda levels: levels  # noqa: E731


class Choice(NamedTuple):
    """The chosen closed form, fitted to all images.

    `distances` are held-out distances to the targets, of each of COLOR_MAPS and of the unchanged inputs.
    """

    kind: str  # its map of colors, of COLOR_MAPS, or UNCHANGED
    position: str | None  # "radial" or None
    color_map: ColorMap
    distances: Mapping[str, float] = MappingProxyType({})  # empty if there are too few images
    weight: float = 1.0  # of the map, against the identity; the distances are those of the whole map

    def describe(self, no_position: str = "--position none") -> str:
        """Return what the closed form does to an image, and in a second line how near it comes to the targets."""
        text = self.kind
        if self.kind == UNCHANGED:
            text = "none, because the colors of the two sides do not differ by more than chance"
        if self.position:
            text += f", and a vignette ({no_position} leaves it out)"
        if not self.distances:
            return f"{text} (fewer than {MIN_IMAGES} images on a side: their contents may tint it, too)"
        if self.kind == UNCHANGED:
            return text
        before, after = self.distances[UNCHANGED], self.distances[self.kind]
        text += f"\n  distance of colors to held-out target images: {before:.4f} before, {after:.4f} after"
        if self.weight == 1:
            return text
        return (
            f"{text} with weight 1\n  weight {self.weight:g}, because with 1 some images lose most of their contrast, "
            f"or become black or white: the two sides differ in more than a look (--map {self.kind} has weight 1)"
        )


def choose(
    a: Tensor, b: Tensor, seed: int = 0, kind: str | None = None, position: str | None = None, samples: int = SAMPLES
) -> Choice:
    """Fit the closed forms from images a to images b, uint8 (N, C, H, W), and return the best.

    Images have visible pixels. RGBA is premultiplied. Fewer than MIN_IMAGES images on a side are too few to compare
    maps: what is not given is linear, reduced by `shrinkage`, and without position.

    Args:
        kind: one of COLOR_MAPS to use; None chooses, also UNCHANGED.
        position: "radial", or "none" for a map of colors alone; None chooses.
        samples: pixels of each side for the fit.
    """
    if min(len(a), len(b)) < MIN_IMAGES:
        weight = 1.0 if kind else shrinkage(opaque_colors(a), opaque_colors(b))
        kind, position = kind or "linear", None if position == "none" else position
        pixels = draw_pixels(a, seed, samples), draw_pixels(b, seed + 1, samples)
        whole = change_of(kind, *pixels)
        reduced: Change = lambda levels: levels + weight * (whole(levels) - levels)  # noqa: E731
        return Choice(kind, position, with_position(reduced, *pixels, position))
    a, b = typical(a), typical(b)
    pixels = draw_pixels(a, seed, samples), draw_pixels(b, seed + 1, samples)
    source, target = opaque_colors(a), opaque_colors(b)
    distances = held_out_distances(a, b, seed, min(samples, HELD_OUT_SAMPLES))
    if kind is None:
        differ = hotelling(color_statistics(source), color_statistics(target)) < SIGNIFICANCE
        kind = best_kind(distances) if differ else UNCHANGED
    change = change_of(kind, *pixels)
    chosen = None if position == "none" else position or "radial"
    color_map = with_position(change, *pixels, chosen)
    if position is None:
        plain = with_position(change, *pixels, None)
        if not adds_vignette(mapped(plain, source), mapped(color_map, source), target):
            chosen, color_map = None, plain
    return Choice(kind, chosen, color_map, distances)


def moderated(choice: Choice, images: Tensor) -> Choice:
    """Return a choice whose map has the largest of WEIGHTS with which it keeps images, uint8 (N, C, H, W).

    It keeps them if it is even, and bleaches few pixels. The distance of pooled colors cannot see that a map suits no
    image: if the targets are dark textures, photographs of other things get their dark colors, and those without light
    areas become black; if they are pages of books, the sky of photographs becomes paper.
    """
    colors = opaque_colors(images)
    for weight in WEIGHTS:
        color_map = choice.color_map.mixed(weight)
        after = mapped(color_map, colors)
        if evenness(colors, after) >= EVENNESS and bleached(colors, after) <= BLEACHED:
            break
    return choice if weight == 1 else choice._replace(color_map=color_map, weight=weight)


def evenness(before: Tensor, after: Tensor) -> float:
    """Return how evenly a map scales the contrast of images (N, 3, H, W), in levels: 1 if all by the same factor.

    It is the factor that 19 of 20 images exceed, relative to the median factor. A look may reduce contrast, but it does
    so in all images.
    """
    contrasts = [luminance(colors).flatten(1).std(1) for colors in (before, after)]
    factors = contrasts[1] / contrasts[0].clamp(min=MIN_CONTRAST)
    return float(factors.quantile(0.05) / factors.median().clamp(min=RIDGE))


def bleached(before: Tensor, after: Tensor) -> float:
    """Return how much larger a map makes the share of black and white pixels of images (N, 3, H, W), in levels: -1..1.

    Unlike `evenness`, it needs few images.
    """
    shares = [((luminance(colors) - 127.5).abs() > 127.5 - EXTREME).float().mean() for colors in (before, after)]
    return float(shares[1] - shares[0])


def shrinkage(a: Tensor, b: Tensor) -> float:
    """Return the part of the difference of colors between few images that their contents do not explain, in 0..1.

    It is the factor of the positive-part James-Stein estimator of the difference, whose expected error is smaller than
    without the factor.

    James, Stein, "Estimation with Quadratic Loss", 1961, equation 8.
    """
    if max(len(a), len(b)) < MIN_IMAGES:  # nothing says how much contents vary
        return 1.0
    squared, p, _ = hotelling_statistic(color_statistics(a), color_statistics(b))
    return max(0.0, 1 - (p - 2) / squared)


def change_of(kind: str, a: Pixels, b: Pixels) -> Change:
    """Return the map of a kind, or of UNCHANGED, between pixels."""
    return IDENTITY if kind == UNCHANGED else fit_kinds(a.levels, b.levels, [kind])[kind]


@torch.inference_mode()
def mapped(change: ColorMap, colors: Tensor) -> Tensor:
    """Return images (N, 3, H, W), in levels, after a map."""
    return (change(colors / 127.5 - 1) + 1) * 127.5


def best_kind(distances: dict[str, float]) -> str:
    """Return the default kind, unless another is nearer by MARGIN; UNCHANGED if it is not nearer than the inputs.

    Smaller differences come from the contents of the images.
    """
    nearest = min(COLOR_MAPS, key=lambda kind: distances[kind])
    kind = nearest if distances[nearest] < (1 - MARGIN) * distances[DEFAULT] else DEFAULT
    return kind if distances[kind] < distances[UNCHANGED] else UNCHANGED


def held_out_distances(a: Tensor, b: Tensor, seed: int, samples: int) -> dict[str, float]:
    """Return the mean held-out distance of each kind to images b, and that of the unchanged images a.

    A fold fits each kind to 3/4 of the images of both sides, and compares the rest.
    """
    found: dict[str, list[float]] = {kind: [] for kind in (*COLOR_MAPS, UNCHANGED)}
    for fold in range(FOLDS):
        (a_fit, a_held_out), (b_fit, b_held_out) = (
            [draw_pixels(part, seed + side, samples).levels for part in parts(images, fold, seed)]
            for side, images in enumerate((a, b))
        )
        for name, change in (fit_kinds(a_fit, b_fit) | {UNCHANGED: IDENTITY}).items():
            levels = change(a_held_out).clip(0, 255)
            found[name].append(sliced_wasserstein(levels / 255, b_held_out / 255))
    return {name: fmean(distances) for name, distances in found.items()}


def parts(images: Tensor, fold: int, seed: int) -> tuple[Tensor, Tensor]:
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


def opaque_colors(images: Tensor) -> Tensor:
    """Return the straight colors (N, 3, H, W) of images uint8 (N, C, H, W), as float32 levels.

    Pixels that are more than half transparent get the mean color of the visible pixels of their image.
    """
    if images.shape[1] < 4:
        return images.float().expand(-1, 3, -1, -1)
    colors = images[:, :3].float() * 255 / images[:, 3:].float().clamp(min=1)
    visible = (images[:, 3:] >= VISIBLE).float()
    mean = (colors * visible).sum((2, 3), keepdim=True) / visible.sum((2, 3), keepdim=True).clamp(min=1)
    return torch.where(visible > 0, colors, mean)


def color_statistics(colors: Tensor) -> np.ndarray:
    """Return means and standard deviations of green, red - green and blue - green: (N, 6).

    Args:
        colors: images (N, 3, H, W), in levels.
    """
    red, green, blue = colors.flatten(2).double().unbind(1)
    axes = torch.stack([green, red - green, blue - green], 1)
    return torch.cat([axes.mean(2), axes.std(2)], 1).numpy()


def typical(images: Tensor) -> Tensor:
    """Return the images uint8 (N, C, H, W) without those whose color statistics are outliers: a few files tint a map.

    If many images have unusual colors, none is an outlier. Of fewer than ten images, none is.
    """
    statistics = color_statistics(opaque_colors(images))
    distance = np.abs(statistics - np.median(statistics, 0))
    limit = OUTLIER * (np.quantile(distance, 0.9, axis=0) + FLOOR)
    return images[torch.from_numpy((distance <= limit).all(1))]


def hotelling(x: np.ndarray, y: np.ndarray) -> float:
    """Return the p-value of the difference of the means of x (n, p) and y (m, p). It needs n + m > p + 1.

    Hotelling, "The Generalization of Student's Ratio", 1931.
    """
    from scipy.stats import f as f_distribution  # half a second, which a model that is only used does not need

    squared, p, freedom = hotelling_statistic(x, y)
    return float(f_distribution.sf((freedom - p + 1) / (p * freedom) * squared, p, freedom - p + 1))


def hotelling_statistic(x: np.ndarray, y: np.ndarray) -> tuple[float, int, int]:
    """Return the statistic of Hotelling's test of x (n, p) and y (m, p), p, and the degrees of freedom."""
    n, m, p = len(x), len(y), x.shape[1]
    scatter = sum((each - each.mean(0)).T @ (each - each.mean(0)) for each in (x, y))
    pooled = scatter / (n + m - 2) + RIDGE * np.eye(p)
    difference = x.mean(0) - y.mean(0)
    return float(n * m / (n + m) * difference @ np.linalg.solve(pooled, difference)), p, n + m - 2


def corner_light(colors: Tensor) -> np.ndarray:
    """Return by how many levels each image (N, 3, H, W) changes smoothly from the center to the corners: (N,).

    It is the least-squares fit of a multiple of the squared radius to the gradients below EDGE. A vignette changes all
    gradients a little. Margins, frames and objects on white have steep gradients in few pixels, and none elsewhere.
    Similar to Zheng, Yu, Kang, Lin, Kambhamettu, "Single-image vignetting correction using radial gradient symmetry",
    2008.
    """
    light = colors.double().mean(1)
    height, width = light.shape[1:]
    rows, columns = ((torch.arange(1, side - 1).double() + 0.5) / side - 0.5 for side in (height, width))
    down, right = (4 * rows / height)[:, None], 4 * columns / width  # gradients of the squared radius
    dy, dx = (light[:, 2:, 1:-1] - light[:, :-2, 1:-1]) / 2, (light[:, 1:-1, 2:] - light[:, 1:-1, :-2]) / 2
    flat = (dy.abs() < EDGE) & (dx.abs() < EDGE)
    total = (flat * (dy * down + dx * right)).sum((1, 2))
    return (total / (flat * (down**2 + right**2)).sum((1, 2)).clamp(min=1e-9)).numpy()


def adds_vignette(plain: Tensor, radial: Tensor, targets: Tensor) -> bool:
    """Return whether a radial correction gives the inputs a vignette that the targets have and the inputs lack.

    Most targets must have it, and the corrected inputs must be nearer to them. It must come from the targets: to
    remove a vignette of photographs is not one.

    Args:
        plain, radial: inputs (N, 3, H, W), in levels, after the map of colors without and with the correction.
        targets: (M, 3, H, W), in levels.
    """
    from scipy.stats import mannwhitneyu  # as in hotelling

    without, corrected, wanted = (corner_light(colors) for colors in (plain, radial, targets))
    test = mannwhitneyu(without, wanted)
    share = test.statistic / (len(without) * len(wanted))
    if test.pvalue >= SIGNIFICANCE or max(share, 1 - share) < MOST:
        return False
    target = float(np.median(wanted))
    missing, left = target - float(np.median(without)), target - float(np.median(corrected))
    return abs(left) < abs(missing) and target * missing > missing**2 / 2
