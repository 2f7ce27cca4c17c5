"""Project images to latents (GAN inversion) by optimization.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, arXiv:1912.04958, appendix D: Adam with a
learning rate that ramps up and down, and decaying noise on the latents to escape local minima.

Differences from the paper: the search starts from several latents and continues with the best; the first phase uses a
distance without a network; nonlinear least squares (Levenberg-Marquardt) refine the result of Adam. Some elements of a
latent change an image strongly, others hardly. Gradient descent optimizes the former and leaves the latter near their
initial values; the Gauss-Newton approximation of the Hessian optimizes both.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan.editing.space import Latents, Space
from gan.images.convert import to_float
from gan.metrics.perceptual import PerceptualDistance
from gan.metrics.pixels import rgb
from gan.models.sampling import CHUNK, NO_CLASSES, classes_of, in_chunks
from gan.utils.errors import UserError, at_least

LEARNING_RATE = 0.1  # of Adam, as a fraction of the standard deviation of latents
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # fractions of the steps in which the learning rate rises and falls
NOISE = 0.05  # initial noise on latents, as a fraction of their standard deviation
NOISE_END = 0.75  # fraction of the steps after which there is no noise
NUM_CANDIDATES = 512  # latents from which the initial ones are selected
FIRST_PHASE = 0.3  # fraction of the steps with all initial latents and without the perceptual distance
SCALES = (1, 2, 4)  # factors by which images are downsampled
SSIM, PERCEPTUAL = 0.2, 0.2  # weights of the distances; the mean absolute difference has weight 1
WINDOW = 8  # pixels; windows overlap by half
MIN_SIDE = 64  # pixels; images with a smaller side are enlarged for the perceptual network
MIN_STEPS = 10

# Levenberg-Marquardt
NEWTON_STEPS = 25
DAMPING = 0.1  # initial, as a fraction of the mean curvature
DECREASE, INCREASE = 5.0, 4.0  # factors of the damping after a step that reduces the error, and after any other
MIN_DAMPING, MAX_DAMPING = 1e-9, 1e3
TOLERANCE = 1e-4  # stop when the squared error decreases by less than this fraction
MAX_SIDE = 64  # larger images are downsampled to about this side, in pixels
PASSES = 30  # refining one latent takes about as long as this many forward and backward passes of 16 latents
TANGENTS = 16  # elements of a latent per pass of forward-mode differentiation


def project(
    space: Space,
    targets: Tensor,
    starts: int = 8,
    steps: int = 300,
    per_layer: bool = False,
    label: Tensor | None = None,
    counts: Tensor = NO_CLASSES,
    advance: Callable[[int], None] = lambda done: None,
) -> Latents:
    """Return the latents of images uint8 (N, C, H, W). Each result is independent of the other images.

    Args:
        starts: number of initial latents per image, at most NUM_CANDIDATES.
        steps: number of steps of Adam, at least MIN_STEPS.
        per_layer: in the second phase, optimize a separate w for each layer (w+).
        label: (N,), the class of each image, for conditional generators; the default is that of the best initial
            latent.
        counts: (classes,), number of training images of each class. The candidates have classes in these proportions.
        advance: called with the number of passes since the last call, which add up to `num_passes`.
    """
    at_least("steps", steps, MIN_STEPS)
    if at_least("starts", starts, 1) > NUM_CANDIDATES:
        raise UserError(f"starts={starts}: give at most {NUM_CANDIDATES}")
    if per_layer and space.name == "z":
        raise UserError("w+ needs a generator with a mapping network, such as that of model=stylegan2")
    first_phase = round(FIRST_PHASE * steps)
    first = Descent(space, 0, first_phase, steps)
    last = Descent(space, first_phase, steps, steps, PerceptualDistance())

    def project_chunk(chunk: Tensor, label: Tensor | None) -> Latents:
        """Project up to CHUNK images (N, C, H, W) in [-1, 1]."""
        latents, labels = initial_latents(space, chunk, starts, label, counts)  # (N, starts, ...), (N, starts)
        all_labels = None if labels is None else labels.flatten()
        latents, loss = first(latents.flatten(0, 1), chunk.repeat_interleave(starts, 0), all_labels, advance)
        rows, best = torch.arange(len(chunk)), loss.view(-1, starts).argmin(1)  # (N,)
        latents = latents.view(-1, starts, space.size)[rows, best]
        labels = None if labels is None else labels[rows, best]
        if per_layer:
            latents = latents[:, None].expand(-1, space.layers, -1)
        latents, loss = last(latents, chunk, labels, advance)
        if not per_layer:
            refined = refine(space, latents, chunk, labels, advance)
            better = last.distances(refined, chunk, labels) < loss
            latents = torch.where(better[:, None], refined, latents)
        return Latents(latents, labels)

    parts = [project_chunk(to_float(targets[rows]), None if label is None else label[rows])
             for rows in torch.arange(len(targets)).split(CHUNK)]  # fmt: skip
    latents, labels = zip(*parts, strict=True)
    return Latents(torch.cat(latents), None if labels[0] is None else torch.cat(labels))


def num_passes(n: int, starts: int, steps: int, per_layer: bool = False) -> int:
    """Return how many forward and backward passes of CHUNK latents `project` needs for n images."""
    first_phase = round(FIRST_PHASE * steps)
    groups = [CHUNK] * (n // CHUNK) + [n % CHUNK] * (n % CHUNK > 0)
    descents = sum(math.ceil(rows * starts / CHUNK) * first_phase + steps - first_phase for rows in groups)
    return descents + (0 if per_layer else n * PASSES)


def initial_latents(
    space: Space, targets: Tensor, starts: int, label: Tensor | None, counts: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return the candidates (N, starts, latent_dim) with images nearest to the targets, and their classes (N, starts).

    `label` (N,) restricts the candidates of each target to a class. Otherwise they are in proportion to `counts`.
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
    """Return the candidates, which have these classes, nearest to each target. In w, the class means are some too."""
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
    """Return images (N, C, H, W) downsampled to a quarter of each side and flattened, (N, D)."""
    return avg_pool2d(x, SCALES[-1]).flatten(1)


class Descent:
    """Optimize latents with Adam from step `first` up to `last` of `steps`. Target pixels that are NaN are ignored.

    The distance `perceptual` is added to `image_distance`. The unit of `noise` is that of NOISE.
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
    ) -> tuple[Tensor, Tensor]:
        """Return latents (R, ...) and their distances (R,) for targets (R, C, H, W)."""
        optimize = partial(self.optimize, advance=advance)
        ends = in_chunks(optimize, self.space.device, latents, labels, targets)
        return ends, self.distances(ends, targets, labels)

    def optimize(
        self, latents: Tensor, labels: Tensor | None, targets: Tensor, advance: Callable[[int], None]
    ) -> Tensor:
        """Return CHUNK latents after the last step."""
        latents = latents.clone().requires_grad_()
        optimizer = torch.optim.Adam([latents], betas=(0.9, 0.999))
        features = self.features(targets)
        for step in range(self.first, self.last):
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * self.unit * lr_schedule(step / self.steps)
            images = self.space.synthesize(latents + self.noise(step), labels)
            (latents.grad,) = torch.autograd.grad(self.distance(images, targets, features).sum(), latents)
            optimizer.step()
            advance(1)
        return latents.detach()

    def distance(self, images: Tensor, targets: Tensor, features: list[Tensor]) -> Tensor:
        """Return the distance (N,) of images (N, C, H, W) to targets, whose perceptual features are `features`."""
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
        """Return the distance (R,) of the image of each latent to its target, on the CPU."""

        def distance(latents: Tensor, labels: Tensor | None, targets: Tensor) -> Tensor:
            return self.distance(self.space.synthesize(latents, labels), targets, self.features(targets))

        return in_chunks(distance, self.space.device, latents, labels, targets)

    def noise(self, step: int) -> Tensor:
        """Return the noise (latent_dim,) of a step: the same for all latents, so the result does not depend on N."""
        size = self.initial_noise * self.unit * max(0.0, 1 - step / (self.steps * NOISE_END)) ** 2
        noise = torch.randn(self.space.size, generator=torch.Generator().manual_seed(step))
        return size * noise.to(self.space.device)


def lr_schedule(t: float) -> float:
    """Return the factor of the learning rate after a fraction t of the steps: linear rise, cosine decay at the end."""
    return min(1.0, t / RAMP_UP) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN)))


def image_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance (N,) of images (N, C, H, W) in [-1, 1].

    It is the mean absolute difference, averaged over SCALES, plus SSIM times (1 - the structural similarity).
    """
    differences = torch.stack([avg_pool2d(x - y, scale).abs().mean((1, 2, 3)) for scale in SCALES])
    return differences.mean(0) + SSIM * (1 - fast_ssim(x, y))


def fast_ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return SSIM (N,) in square windows at every fourth pixel (Wang et al., 2004, equation 13).

    It is about ten times faster than `gan.metrics.pairs.ssim`, which evaluations use.
    """
    window = min(WINDOW, *x.shape[2:])
    mean_x, mean_y, xx, yy, xy = (avg_pool2d(each, window, max(1, window // 2)) for each in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # pixels have a range of 2
    product = mean_x * mean_y
    squares = mean_x.square() + mean_y.square()
    values = (2 * product + c1) * (2 * (xy - product) + c2) / ((squares + c1) * (xx + yy - squares + c2))
    return values.mean((1, 2, 3))


@torch.no_grad()
def refine(
    space: Space,
    latents: Tensor,
    targets: Tensor,
    label: Tensor | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Return latents (N, latent_dim) refined to targets (N, C, H, W), each independently of the others."""

    def one(n: int) -> Tensor:
        labels = None if label is None else label[n : n + 1].to(space.device)
        target = pixels(targets[n : n + 1].to(space.device))
        refined = levenberg_marquardt(
            lambda x: pixels(space.synthesize(x[None], labels)), latents[n].to(space.device), target
        )
        advance(PASSES)
        return refined.cpu()

    return torch.stack([one(n) for n in range(len(latents))])


def pixels(images: Tensor) -> Tensor:
    """Return the pixels (D,) of an image (1, C, H, W), downsampled if it is larger than MAX_SIDE."""
    return avg_pool2d(images, max(1, max(images.shape[2:]) // MAX_SIDE)).flatten()


def levenberg_marquardt(
    function: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, steps: int = NEWTON_STEPS
) -> Tensor:
    """Minimize the squared error between function(x) (D,) and target (D,), and return x (latent_dim,).

    Levenberg, "A method for the solution of certain non-linear problems in least squares", 1944; Marquardt, "An
    algorithm for least-squares estimation of nonlinear parameters", 1963.
    """
    damping = DAMPING
    residual = function(x) - target
    squares = residual.square().sum()
    curvature = slope = None
    for _ in range(steps):
        if curvature is None or slope is None:
            rows = jacobian(function, x)  # (latent_dim, D)
            # On the CPU because MPS has no float64.
            curvature, slope = (rows @ rows.T).cpu().double(), (rows @ residual).cpu().double()
        damped = curvature + damping * curvature.diagonal().mean() * torch.eye(len(x))
        step = torch.linalg.solve(damped, -slope).to(x)
        new_residual = function(x + step) - target
        decrease = squares - new_residual.square().sum()
        if decrease > 0:
            converged = decrease < TOLERANCE * squares
            x, residual, squares, curvature = x + step, new_residual, squares - decrease, None
            damping = max(damping / DECREASE, MIN_DAMPING)
            if converged:
                break
        else:
            damping *= INCREASE
            if not damping < MAX_DAMPING:
                break
    return x


def jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the transposed Jacobian (latent_dim, D) of a function at x (latent_dim,)."""
    along = torch.func.vmap(lambda v: torch.func.jvp(function, (x,), (v,))[1], chunk_size=TANGENTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about its own deprecated functions and slow fallbacks
        rows: Tensor = along(torch.eye(len(x), device=x.device, dtype=x.dtype))
    return rows
