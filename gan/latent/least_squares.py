"""Refine latents until their images are nearest to targets in squares: the Levenberg-Marquardt method.

Some numbers of a latent change an image much, others hardly. Gradient descent finds the former and leaves the latter
where they started. The Gauss-Newton approximation of the second derivatives finds all.

Levenberg, "A method for the solution of certain non-linear problems in least squares", 1944; Marquardt, "An algorithm
for least-squares estimation of nonlinear parameters", 1963.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.latent.space import Space

STEPS = 25
DAMPING = 0.1  # initial, as a fraction of the mean curvature
DECREASE, INCREASE = 5.0, 4.0  # of the damping, after a step that helped and after one that did not
MIN_DAMPING, MAX_DAMPING = 1e-9, 1e3
TOLERANCE = 1e-4  # relative decrease of the squares below which it stops
MAX_SIDE = 64  # pixels that are compared
PASSES = 30  # forward and backward passes of 16 latents that take about as long as refining one latent
TANGENTS = 16  # numbers of a latent that are differentiated at a time


@torch.no_grad()
def refine(
    space: Space,
    latents: Tensor,
    targets: Tensor,
    label: Tensor | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Return refined latents (N, latent_dim) on the CPU. Each is independent of the others.

    Args:
        targets: (N, C, H, W) in [-1, 1].
        label: (N,), of generators with classes.
        advance: called with PASSES after each latent.
    """
    found = []
    for n, (latent, target) in enumerate(zip(latents.to(space.device), targets.to(space.device), strict=True)):
        own = None if label is None else label[n : n + 1].to(space.device)
        function = partial(_pixels_at, space, own)
        found.append(levenberg_marquardt(function, latent, pixels(target[None])))
        advance(PASSES)
    return torch.stack(found).cpu()


def _pixels_at(space: Space, label: Tensor | None, latent: Tensor) -> Tensor:
    return pixels(space.synthesize(latent[None], label))


def pixels(images: Tensor) -> Tensor:
    """Return (D,): the pixels of images (1, C, H, W), downsampled if they are large."""
    return avg_pool2d(images, max(1, max(images.shape[2:]) // MAX_SIDE)).flatten()


def levenberg_marquardt(function: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, steps: int = STEPS) -> Tensor:
    """Return the x (latent_dim,) near the given one with function(x) (D,) nearest to the target (D,) in squares."""
    damping = DAMPING
    residual = function(x) - target
    squares = residual.square().sum()
    curvature = slope = None
    for _ in range(steps):
        if curvature is None or slope is None:
            rows = jacobian(function, x)  # (latent_dim, D)
            # On the CPU, since Apple's GPUs have no float64.
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
    """Return (latent_dim, D): the derivatives of a function of x (latent_dim,) by each of its numbers."""
    along = torch.func.vmap(lambda v: torch.func.jvp(function, (x,), (v,))[1], chunk_size=TANGENTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of its own deprecated functions, and of slow fallbacks
        rows: Tensor = along(torch.eye(len(x), device=x.device, dtype=x.dtype))
    return rows
