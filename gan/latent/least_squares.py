"""Points moved to where pictures are nearest to given ones in squares: Levenberg's and Marquardt's method.

A generator turns some of its numbers into much of a picture and others into hardly anything. Gradient descent finds the
first and leaves the others where they began; the second derivatives that squares give for nothing find all.

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
DAMPING = 0.1  # at first, as a share of the curvature's mean
EASED, STIFFENED = 5.0, 4.0  # what it is divided by after a step that helped, and multiplied by after one that did not
LOWEST, HIGHEST = 1e-9, 1e3
ENOUGH = 1e-4  # of the squares: steps that bring less are the last
SIDE = 64  # pixels that are compared, at most
PASSES = 30  # through the generator and back of 16 points, about, that one point takes as long as
TANGENTS = 16  # numbers of a point whose slopes are taken at a time


@torch.no_grad()
def settle(
    space: Space,
    points: Tensor,
    targets: Tensor,
    label: Tensor | None = None,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Points (N, latent), each the same whatever it is settled with, on the CPU.

    Args:
        targets: (N, C, H, W) in [-1, 1].
        label: (N,), of generators with classes.
        advance: told of PASSES more after each point.
    """
    found = []
    for n, (point, target) in enumerate(zip(points.to(space.device), targets.to(space.device), strict=True)):
        own = None if label is None else label[n : n + 1].to(space.device)
        drawn = partial(_compared_at, space, own)
        found.append(nearest(drawn, point, compared(target[None])))
        advance(PASSES)
    return torch.stack(found).cpu()


def _compared_at(space: Space, label: Tensor | None, point: Tensor) -> Tensor:
    return compared(space.images(point[None], label))


def compared(images: Tensor) -> Tensor:
    """(1, C, H, W) -> (D,), made smaller where it is large."""
    return avg_pool2d(images, max(1, max(images.shape[2:]) // SIDE)).flatten()


def nearest(function: Callable[[Tensor], Tensor], x: Tensor, target: Tensor, steps: int = STEPS) -> Tensor:
    """The x (latent,) near the given one for which function(x) (D,) is nearest to the target (D,) in squares."""
    damping = DAMPING
    rest = function(x) - target
    squares = rest.square().sum()
    curvature = slope = None
    for _ in range(steps):
        if curvature is None or slope is None:
            jacobian = of(function, x)  # (latent, D)
            # On the CPU, since Apple's GPUs have no doubles.
            curvature, slope = (jacobian @ jacobian.T).cpu().double(), (jacobian @ rest).cpu().double()
        damped = curvature + damping * curvature.diagonal().mean() * torch.eye(len(x))
        step = torch.linalg.solve(damped, -slope).to(x)
        further = function(x + step) - target
        gained = squares - further.square().sum()
        if gained > 0:
            done = gained < ENOUGH * squares
            x, rest, squares, curvature = x + step, further, squares - gained, None
            damping = max(damping / EASED, LOWEST)
            if done:
                break
        else:
            damping *= STIFFENED
            if not damping < HIGHEST:
                break
    return x


def of(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(latent, D), how a function of x (latent,) changes with each of its numbers."""
    along = torch.func.vmap(lambda v: torch.func.jvp(function, (x,), (v,))[1], chunk_size=TANGENTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says which of its own functions are old, or slow here
        slopes: Tensor = along(torch.eye(len(x), device=x.device, dtype=x.dtype))
    return slopes
