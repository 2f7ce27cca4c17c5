"""Points whose pictures are given ones: inversion by optimization.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, appendix D: Adam whose
rate rises and falls, and noise on the points that dies down, so that the way does not end at the next best place. What
differs: several starts, of which the best alone goes on; a distance that needs no network at first; and at the end
least squares, which find what Adam has left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan.common.errors import UserError, at_least
from gan.images.convert import to_float
from gan.inference.sampling import CHUNK, NO_CLASSES, classes_of, padded
from gan.latent.least_squares import PASSES, settle
from gan.latent.space import Space
from gan.metrics.pairs import PerceptualDistance
from gan.metrics.pixels import rgb

RATE = 0.1  # of Adam, in units of how far points usually lie from their mean
RISING, FALLING = 0.05, 0.25  # shares of the steps in which the rate rises, and falls
NOISE, QUIET = 0.05, 0.75  # of the points at first, in the same unit, and the share of the steps after which none is
CANDIDATES = 512  # points that starts are taken from
TRIED = 0.3  # share of the steps that all starts go; the network's distance counts after it
SCALES = (1, 2, 4)  # by which pictures are made smaller
SSIM, PERCEPTUAL = 0.2, 0.2  # weights, that of the mean absolute difference being 1
WINDOW = 8  # pixels, half of which the next window shares
LEAST = 64  # pixels of the shorter side that the network sees
FRAMES = 50  # of the way, about
FEWEST = 10  # steps


class Projection(NamedTuple):
    """Points (N, latent), or (N, layers, latent) of w+; the class of each, of generators with classes in z; and the way
    there (T, N, ...), the last of which they are."""

    points: Tensor
    labels: Tensor | None
    way: Tensor

    def within(self, space: Space, found: Space) -> Projection:
        """The same in another space than that it was found in: of z in w."""
        if space.name == found.name:
            return self
        way = torch.stack([space.of(points, self.labels) for points in self.way])
        return Projection(space.of(self.points, self.labels), self.labels, way)


def project(
    space: Space,
    targets: Tensor,
    starts: int = 8,
    steps: int = 300,
    layered: bool = False,
    label: Tensor | None = None,
    counts: Tensor = NO_CLASSES,
    advance: Callable[[int], None] = lambda done: None,
) -> Projection:
    """The points of pictures uint8 (N, C, H, W), each the same whatever it is projected with.

    Args:
        layered: a point for each layer in the last phase: w+.
        label: (N,), the classes to draw the pictures as, of generators with classes; without, that of the best start.
        counts: (classes,), images of each, by which starts have classes.
        advance: told of how many more of `passes` are done.

    Raises:
        UserError: w+ is asked for in z; starts are not from 1 to CANDIDATES, or steps fewer than FEWEST.
    """
    at_least("steps", steps, FEWEST)
    if at_least("starts", starts, 1) > CANDIDATES:
        raise UserError(f"starts={starts}: at most {CANDIDATES}")
    if layered and space.name == "z":
        raise UserError("w+ has a point for each layer, which generators without a mapping do not take")
    parts = []
    for rows in torch.arange(len(targets)).split(CHUNK):
        own = None if label is None else label[rows]
        parts.append(_project(space, to_float(targets[rows]), starts, steps, layered, own, counts, advance))
    points, labels, way = zip(*parts, strict=True)
    return Projection(torch.cat(points), None if labels[0] is None else torch.cat(labels), torch.cat(way, 1))


def passes(n: int, starts: int, steps: int, layered: bool = False) -> int:
    """Of CHUNK points through the generator and back, of a `project` of n pictures."""
    tried = round(TRIED * steps)
    groups = [CHUNK] * (n // CHUNK) + [n % CHUNK] * (n % CHUNK > 0)
    descents = sum(math.ceil(rows * starts / CHUNK) * tried + steps - tried for rows in groups)
    return descents + (0 if layered else n * PASSES)


def _project(
    space: Space,
    targets: Tensor,
    starts: int,
    steps: int,
    layered: bool,
    label: Tensor | None,
    counts: Tensor,
    advance: Callable[[int], None],
) -> Projection:
    """Of up to CHUNK pictures (N, C, H, W) in [-1, 1]."""
    tried, rows = round(TRIED * steps), torch.arange(len(targets))
    points, labels = nearest(space, targets, starts, label, counts)  # (N, starts, latent), (N, starts)
    all_labels = None if labels is None else labels.flatten()
    first = Descent(space, 0, tried, steps)
    points, loss, way = first(points.flatten(0, 1), targets.repeat_interleave(starts, 0), all_labels, advance)
    best = loss.view(-1, starts).argmin(1)  # (N,)
    points, way = points.view(-1, starts, space.size)[rows, best], way.view(len(way), -1, starts, space.size)
    way = way[:, rows, best]
    labels = None if labels is None else labels[rows, best]
    if layered:
        points, way = (x[..., None, :].expand(*x.shape[:-1], space.layers, -1) for x in (points, way))
    last = Descent(space, tried, steps, steps, PerceptualDistance())
    points, loss, rest = last(points, targets, labels, advance)
    if not layered:
        settled = settle(space, points, targets, labels, advance)
        better = last.distances(settled, targets, labels) < loss
        points = torch.where(better[:, None], settled, points)
    return Projection(points, labels, torch.cat([way, rest, points[None]]))


def nearest(
    space: Space, targets: Tensor, starts: int, label: Tensor | None, counts: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Points (N, starts, latent) whose pictures are nearest to the targets among many, and their classes (N, starts).

    Args:
        label: (N,), of which class the many are; without, of each as often as `counts` says.
    """
    if label is None or not space.classes:
        return among(space, targets, starts, classes_of(range(CANDIDATES), counts))
    points = targets.new_empty(len(targets), starts, space.size)
    for kind in label.unique():
        points[label == kind], _ = among(space, targets[label == kind], starts, kind.expand(CANDIDATES))
    return points, label[:, None].expand(-1, starts)


def among(space: Space, targets: Tensor, starts: int, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """`nearest` among points of classes `labels` (CANDIDATES,); in w the mean of each class is one more."""
    points = space.fixed(CANDIDATES, labels)
    if space.name == "w":
        means, kinds = space.statistics[0], None if labels is None else labels.unique()
        points = torch.cat([means if kinds is None else means[kinds], points])
        labels = None if labels is None or kinds is None else torch.cat([kinds, labels])
    coarse = small(to_float(space.draw(points, labels)))  # (candidates, D)
    distance = torch.cdist(small(targets), coarse, p=1)  # (N, candidates)
    chosen = distance.argsort(dim=1, stable=True)[:, :starts]
    return points[chosen], None if labels is None else labels[chosen]


def small(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, D), a quarter of each side."""
    return avg_pool2d(x, SCALES[-1]).flatten(1)


class Descent:
    """Steps `first` to `last` of `steps`, from points to points. Pixels of targets that are NaN do not count.

    Args:
        perceptual: counts in the distance too, where given.
        noise: of the points at first.
    """

    def __init__(
        self,
        space: Space,
        first: int,
        last: int,
        steps: int,
        perceptual: PerceptualDistance | None = None,
        noise: float = NOISE,
    ) -> None:
        self.space = space
        self.first, self.last, self.steps = first, last, steps
        self.noisy = noise
        self.unit = float(space.statistics[1].mean())
        self.perceptual = perceptual and perceptual.to(space.device).eval().requires_grad_(False)

    def __call__(
        self, points: Tensor, targets: Tensor, labels: Tensor | None, advance: Callable[[int], None] = lambda done: None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of points (R, ...) and of targets (R, C, H, W) -> points, their distances (R,), the way (T, R, ...)."""
        parts = []
        for at in range(0, len(points), CHUNK):
            rows = len(points) - at
            some, given = self.part(points, at), self.part(targets, at)
            ends, way = self.follow(some, given, None if labels is None else self.part(labels, at), advance)
            parts.append((ends[:rows].cpu(), way[:, :rows].cpu()))
        found = torch.cat([ends for ends, _ in parts])
        return found, self.distances(found, targets, labels), torch.cat([way for _, way in parts], 1)

    def part(self, x: Tensor, at: int) -> Tensor:
        return padded(x, at, self.space.device)

    def follow(
        self, points: Tensor, targets: Tensor, labels: Tensor | None, advance: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        points = points.clone().requires_grad_()
        optimizer = torch.optim.Adam([points], betas=(0.9, 0.999))
        depicted = self.depicted(targets)
        way = []
        for step in range(self.first, self.last):
            optimizer.param_groups[0]["lr"] = RATE * self.unit * pace(step / self.steps)
            images = self.space.images(points + self.noise(step), labels)
            (points.grad,) = torch.autograd.grad(self.distance(images, targets, depicted).sum(), points)
            optimizer.step()
            if (step + 1) % max(1, self.steps // FRAMES) == 0:
                way.append(points.detach().clone())
            advance(1)
        return points.detach(), torch.stack(way)

    def distance(self, images: Tensor, targets: Tensor, depicted: list[Tensor]) -> Tensor:
        """(N,), of pictures (N, C, H, W)."""
        images = images.where(targets.isfinite(), 0)
        targets = targets.nan_to_num(0)
        distance = unlikeness(images, targets)
        if self.perceptual:
            distance = distance + PERCEPTUAL * self.perceptual.distance(self.depicted(images), depicted)
        return distance

    def depicted(self, images: Tensor) -> list[Tensor]:
        if not self.perceptual:
            return []
        seen = rgb((images + 1) * 127.5)
        if min(seen.shape[2:]) < LEAST:
            seen = interpolate(seen, scale_factor=LEAST / min(seen.shape[2:]), mode="bilinear")
        return self.perceptual.normalized_features(seen)

    @torch.no_grad()
    def distances(self, points: Tensor, targets: Tensor, labels: Tensor | None) -> Tensor:
        """(R,), on the CPU, of the pictures of points."""
        found = []
        for at in range(0, len(points), CHUNK):
            images = self.space.images(self.part(points, at), None if labels is None else self.part(labels, at))
            given = self.part(targets, at)
            found.append(self.distance(images, given, self.depicted(given)).cpu())
        return torch.cat(found)[: len(points)]

    def noise(self, step: int) -> Tensor:
        """(latent,), the same for all points, so that each goes the same way whatever it is with."""
        size = self.noisy * self.unit * max(0.0, 1 - step / (self.steps * QUIET)) ** 2
        drawn = torch.randn(self.space.size, generator=torch.Generator().manual_seed(step))
        return size * drawn.to(self.space.device)


def pace(at: float) -> float:
    """The rate after a share of the steps: up along a line, and down along half a cosine."""
    return min(1.0, at / RISING) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - at) / FALLING)))


def unlikeness(x: Tensor, y: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] -> (N,): mean absolute differences at three sizes, and what SSIM lacks of 1."""
    differences = torch.stack([avg_pool2d(x - y, scale).abs().mean((1, 2, 3)) for scale in SCALES])
    return differences.mean(0) + SSIM * (1 - similarity(x, y))


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """(N,), SSIM in square windows at every fourth place (Wang et al., 2004, equation 13): a tenth of the cost of that
    of `gan.metrics.pairs`, which scores take."""
    window = min(WINDOW, *x.shape[2:])
    mean_x, mean_y, xx, yy, xy = (avg_pool2d(each, window, max(1, window // 2)) for each in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # of a range of 2
    product = mean_x * mean_y
    squares = mean_x.square() + mean_y.square()
    values = (2 * product + c1) * (2 * (xy - product) + c2) / ((squares + c1) * (xx + yy - squares + c2))
    return values.mean((1, 2, 3))
