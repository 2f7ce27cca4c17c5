"""Refine latents by the Levenberg-Marquardt method: minimize the squared error between their images and targets.

Some elements of a latent change an image strongly, others hardly. Gradient descent optimizes the former and leaves the
latter near their initial values. The Gauss-Newton approximation of the Hessian optimizes both.

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
DECREASE, INCREASE = 5.0, 4.0  # factors of the damping after a step that reduces the error, and after any other
MIN_DAMPING, MAX_DAMPING = 1e-9, 1e3
TOLERANCE = 1e-4  # stop when the squared error decreases by less than this fraction
MAX_SIDE = 64  # larger images are downsampled to about this side, in pixels
PASSES = 30  # refining one latent takes about as long as this many forward and backward passes of 16 latents
TANGENTS = 16  # elements of a latent per pass of forward-mode differentiation


@torch.no_grad()
def refine(
    space: Space,
    latents: Tensor,
    targets: Tensor,
    label: Tensor | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Return refined latents (N, latent_dim) on the CPU. Each result is independent of the other latents.

    Args:
        targets: (N, C, H, W) in [-1, 1].
        label: (N,), the class of each latent, for conditional generators.
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
    """Return the pixels (D,) of an image (1, C, H, W), downsampled if it is larger than MAX_SIDE."""
    return avg_pool2d(images, max(1, max(images.shape[2:]) // MAX_SIDE)).flatten()


def levenberg_marquardt(function: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, steps: int = STEPS) -> Tensor:
    """Minimize the squared error between function(x) (D,) and target (D,), and return x (latent_dim,)."""
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
