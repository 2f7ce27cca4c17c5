"""Project images to latents (GAN inversion) by optimization.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, appendix D: Adam with a
learning rate that ramps up and down, and noise on the latents that decays, so that the search leaves local minima.
Differences: it starts from several latents and continues with the best; the first distance needs no network; least
squares at the end find what Adam misses.
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
from gan.latent.least_squares import PASSES, refine
from gan.latent.space import Space
from gan.metrics.pairs import PerceptualDistance
from gan.metrics.pixels import rgb

LEARNING_RATE = 0.1  # of Adam, as a fraction of the standard deviation of latents
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # fractions of the steps in which the learning rate rises and falls
NOISE, NOISE_END = 0.05, 0.75  # initial noise on latents, in the same unit, and the fraction of steps where it ends
NUM_CANDIDATES = 512  # latents from which the initial ones are chosen
FIRST_PHASE = 0.3  # fraction of the steps for all initial latents; the perceptual distance counts after it
SCALES = (1, 2, 4)  # by which images are downsampled
SSIM, PERCEPTUAL = 0.2, 0.2  # weights; that of the mean absolute difference is 1
WINDOW = 8  # pixels; windows overlap by half
MIN_SIDE = 64  # pixels of the shorter side for the perceptual network
FRAMES = 50  # of the trajectory, about
MIN_STEPS = 10


class Projection(NamedTuple):
    """The result of a projection.

    Attributes:
        latents: (N, latent_dim), or (N, layers, latent_dim) in w+.
        labels: (N,), the class of each, of generators with classes; else None.
        trajectory: (T, N, ...), the latents during the optimization; the last are `latents`.
    """

    latents: Tensor
    labels: Tensor | None
    trajectory: Tensor

    def convert(self, source: Space, target: Space) -> Projection:
        """Return the same projection with latents of z in w, if the two spaces differ."""
        if target.name == source.name:
            return self
        trajectory = torch.stack([target.from_z(latents, self.labels) for latents in self.trajectory])
        return Projection(target.from_z(self.latents, self.labels), self.labels, trajectory)


def project(
    space: Space,
    targets: Tensor,
    starts: int = 8,
    steps: int = 300,
    per_layer: bool = False,
    label: Tensor | None = None,
    counts: Tensor = NO_CLASSES,
    advance: Callable[[int], None] = lambda done: None,
) -> Projection:
    """Return the latents of images uint8 (N, C, H, W). Each image is independent of the others.

    Args:
        starts: initial latents per image.
        steps: of Adam.
        per_layer: optimize a w per layer in the last phase: w+.
        label: (N,), the class of each image, of generators with classes; the default is that of the best start.
        counts: (classes,), training images of each class; initial latents have classes in these proportions.
        advance: called with the number of further passes, which add up to `num_passes`.

    Raises:
        UserError: w+ is requested in z; starts are not in 1..NUM_CANDIDATES, or steps fewer than MIN_STEPS.
    """
    at_least("steps", steps, MIN_STEPS)
    if at_least("starts", starts, 1) > NUM_CANDIDATES:
        raise UserError(f"starts={starts}: give at most {NUM_CANDIDATES}")
    if per_layer and space.name == "z":
        raise UserError("w+ needs a generator with a mapping network, as model=stylegan2 has")
    parts = []
    for rows in torch.arange(len(targets)).split(CHUNK):
        own = None if label is None else label[rows]
        parts.append(_project(space, to_float(targets[rows]), starts, steps, per_layer, own, counts, advance))
    latents, labels, trajectory = zip(*parts, strict=True)
    return Projection(torch.cat(latents), None if labels[0] is None else torch.cat(labels), torch.cat(trajectory, 1))


def num_passes(n: int, starts: int, steps: int, per_layer: bool = False) -> int:
    """Return the forward and backward passes of CHUNK latents that `project` takes for n images."""
    first_phase = round(FIRST_PHASE * steps)
    groups = [CHUNK] * (n // CHUNK) + [n % CHUNK] * (n % CHUNK > 0)
    descents = sum(math.ceil(rows * starts / CHUNK) * first_phase + steps - first_phase for rows in groups)
    return descents + (0 if per_layer else n * PASSES)


def _project(
    space: Space,
    targets: Tensor,
    starts: int,
    steps: int,
    per_layer: bool,
    label: Tensor | None,
    counts: Tensor,
    advance: Callable[[int], None],
) -> Projection:
    """Project up to CHUNK images (N, C, H, W) in [-1, 1]."""
    first_phase, rows = round(FIRST_PHASE * steps), torch.arange(len(targets))
    latents, labels = initial_latents(space, targets, starts, label, counts)  # (N, starts, latent_dim), (N, starts)
    all_labels = None if labels is None else labels.flatten()
    first = Descent(space, 0, first_phase, steps)
    latents, loss, trajectory = first(latents.flatten(0, 1), targets.repeat_interleave(starts, 0), all_labels, advance)
    best = loss.view(-1, starts).argmin(1)  # (N,)
    latents = latents.view(-1, starts, space.size)[rows, best]
    trajectory = trajectory.view(len(trajectory), -1, starts, space.size)[:, rows, best]
    labels = None if labels is None else labels[rows, best]
    if per_layer:
        latents, trajectory = (x[..., None, :].expand(*x.shape[:-1], space.layers, -1) for x in (latents, trajectory))
    last = Descent(space, first_phase, steps, steps, PerceptualDistance())
    latents, loss, rest = last(latents, targets, labels, advance)
    if not per_layer:
        refined = refine(space, latents, targets, labels, advance)
        better = last.distances(refined, targets, labels) < loss
        latents = torch.where(better[:, None], refined, latents)
    return Projection(latents, labels, torch.cat([trajectory, rest, latents[None]]))


def initial_latents(
    space: Space, targets: Tensor, starts: int, label: Tensor | None, counts: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return the candidates (N, starts, latent_dim) with images nearest to the targets, and their classes (N, starts).

    Args:
        label: (N,), the class of the candidates of each target; the default is all classes in proportion to `counts`.
    """
    if label is None or not space.classes:
        return nearest_candidates(space, targets, starts, classes_of(range(NUM_CANDIDATES), counts))
    latents = targets.new_empty(len(targets), starts, space.size)
    for one in label.unique():
        rows = label == one
        latents[rows], _ = nearest_candidates(space, targets[rows], starts, one.expand(NUM_CANDIDATES))
    return latents, label[:, None].expand(-1, starts)


def nearest_candidates(
    space: Space, targets: Tensor, starts: int, labels: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return `initial_latents` among candidates of classes `labels` (NUM_CANDIDATES,), and class means in w."""
    latents = space.fixed_sample(NUM_CANDIDATES, labels)
    if space.name == "w":
        means, classes = space.statistics[0], None if labels is None else labels.unique()
        latents = torch.cat([means if classes is None else means[classes], latents])
        labels = None if labels is None or classes is None else torch.cat([classes, labels])
    coarse = downsample(to_float(space.render_uint8(latents, labels)))  # (candidates, D)
    distance = torch.cdist(downsample(targets), coarse, p=1)  # (N, candidates)
    chosen = distance.argsort(dim=1, stable=True)[:, :starts]
    return latents[chosen], None if labels is None else labels[chosen]


def downsample(x: Tensor) -> Tensor:
    """Return (N, D): images (N, C, H, W) at a quarter of each side, flattened."""
    return avg_pool2d(x, SCALES[-1]).flatten(1)


class Descent:
    """Optimize latents by steps `first` to `last` of `steps`. Target pixels that are NaN do not count.

    Args:
        perceptual: a distance to add to `image_distance`.
        noise: initial noise on latents, in units of their standard deviation.
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
        self.initial_noise = noise
        self.unit = float(space.statistics[1].mean())
        self.perceptual = perceptual and perceptual.to(space.device).eval().requires_grad_(False)

    def __call__(
        self,
        latents: Tensor,
        targets: Tensor,
        labels: Tensor | None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents (R, ...), their distances (R,) and trajectory (T, R, ...) for targets (R, C, H, W)."""
        parts = []
        for at in range(0, len(latents), CHUNK):
            rows = len(latents) - at
            start, target = self.chunk(latents, at), self.chunk(targets, at)
            label = None if labels is None else self.chunk(labels, at)
            end, trajectory = self.optimize(start, target, label, advance)
            parts.append((end[:rows].cpu(), trajectory[:, :rows].cpu()))
        found = torch.cat([end for end, _ in parts])
        return found, self.distances(found, targets, labels), torch.cat([trajectory for _, trajectory in parts], 1)

    def chunk(self, x: Tensor, at: int) -> Tensor:
        return padded(x, at, self.space.device)

    def optimize(
        self, latents: Tensor, targets: Tensor, labels: Tensor | None, advance: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Return CHUNK latents after the steps, and their trajectory."""
        latents = latents.clone().requires_grad_()
        optimizer = torch.optim.Adam([latents], betas=(0.9, 0.999))
        features = self.features(targets)
        trajectory = []
        for step in range(self.first, self.last):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * self.unit * lr_schedule(step / self.steps)
            images = self.space.synthesize(latents + self.noise(step), labels)
            (latents.grad,) = torch.autograd.grad(self.distance(images, targets, features).sum(), latents)
            optimizer.step()
            if (step + 1) % max(1, self.steps // FRAMES) == 0:
                trajectory.append(latents.detach().clone())
            advance(1)
        return latents.detach(), torch.stack(trajectory)

    def distance(self, images: Tensor, targets: Tensor, features: list[Tensor]) -> Tensor:
        """Return (N,): the distance of images (N, C, H, W) to targets with these features."""
        images = images.where(targets.isfinite(), 0)
        targets = targets.nan_to_num(0)
        distance = image_distance(images, targets)
        if self.perceptual:
            distance = distance + PERCEPTUAL * self.perceptual.distance(self.features(images), features)
        return distance

    def features(self, images: Tensor) -> list[Tensor]:
        if not self.perceptual:
            return []
        colors = rgb((images + 1) * 127.5)
        if min(colors.shape[2:]) < MIN_SIDE:
            colors = interpolate(colors, scale_factor=MIN_SIDE / min(colors.shape[2:]), mode="bilinear")
        return self.perceptual.normalized_features(colors)

    @torch.no_grad()
    def distances(self, latents: Tensor, targets: Tensor, labels: Tensor | None) -> Tensor:
        """Return (R,), on the CPU: the distance of the image of each latent to its target."""
        found = []
        for at in range(0, len(latents), CHUNK):
            label = None if labels is None else self.chunk(labels, at)
            images = self.space.synthesize(self.chunk(latents, at), label)
            target = self.chunk(targets, at)
            found.append(self.distance(images, target, self.features(target)).cpu())
        return torch.cat(found)[: len(latents)]

    def noise(self, step: int) -> Tensor:
        """Return (latent_dim,), the same for all latents, so that each is independent of the others."""
        size = self.initial_noise * self.unit * max(0.0, 1 - step / (self.steps * NOISE_END)) ** 2
        noise = torch.randn(self.space.size, generator=torch.Generator().manual_seed(step))
        return size * noise.to(self.space.device)


def lr_schedule(t: float) -> float:
    """Return the factor of the learning rate at a fraction of the steps: a linear rise, then half a cosine down."""
    return min(1.0, t / RAMP_UP) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN)))


def image_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return (N,): mean absolute differences of images (N, C, H, W) in [-1, 1] at three sizes, plus 1 - SSIM."""
    differences = torch.stack([avg_pool2d(x - y, scale).abs().mean((1, 2, 3)) for scale in SCALES])
    return differences.mean(0) + SSIM * (1 - fast_ssim(x, y))


def fast_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return (N,): SSIM in square windows at every fourth pixel (Wang et al., 2004, equation 13).

    It takes a tenth of the time of `gan.metrics.pairs.ssim`, which scores use.
    """
    window = min(WINDOW, *x.shape[2:])
    mean_x, mean_y, xx, yy, xy = (avg_pool2d(each, window, max(1, window // 2)) for each in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # of a range of 2
    product = mean_x * mean_y
    squares = mean_x.square() + mean_y.square()
    values = (2 * product + c1) * (2 * (xy - product) + c2) / ((squares + c1) * (xx + yy - squares + c2))
    return values.mean((1, 2, 3))
