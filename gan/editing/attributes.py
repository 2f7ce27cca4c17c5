"""Edit latents until their images have more or less of an attribute, such as brightness, or are zoomed and shifted.

Generators are nonlinear: the same direction changes some images strongly and others hardly. Therefore each latent
follows the gradients of its own image: damped Gauss-Newton steps to the nearest latent with the requested attributes.

Jahanian, Chai, Isola, "On the 'steerability' of generative adversarial networks", 2020, arXiv:1907.07171, minimize the
distance to zoomed and shifted images (equation 2) over one direction for all latents. Here each latent is optimized by
itself. Pixels that enter the image at an edge are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan.editing.projection import Descent
from gan.editing.space import Space
from gan.metrics.attributes import ATTRIBUTES, COLOR_ATTRIBUTES
from gan.models.sampling import in_chunks

STEPS = 12
DAMPING = 0.5  # fraction of the Gauss-Newton step that is taken
MAX_STEP = 0.15  # maximum length of a step, as a fraction of a step by the standard deviation in each element
EPSILON = 1e-6
NUM_IMAGES = 512  # images for the standard deviation of an attribute
BATCH = 64  # images measured at a time

POSITIONS = ("zoom", "shift_x", "shift_y")
ZOOM = 1.25  # magnification by zoom=1
SHIFT = 0.125  # shift_x=1 shifts right, and shift_y=1 down, by this fraction of the side
POSITION_STEPS = 60

Attribute = Callable[[Tensor], Tensor]  # images (N, C, H, W) in [-1, 1] -> (N,), differentiable


def for_channels(channels: int) -> dict[str, Attribute]:
    """Return the attributes that images with this number of channels have, by name."""
    return {name: measured for name, measured in ATTRIBUTES.items() if channels > 1 or name not in COLOR_ATTRIBUTES}


def std(space: Space, attributes: Mapping[str, Attribute], label: Tensor | None = None) -> dict[str, float]:
    """Return the standard deviation of each attribute over the images of fixed latents: the unit of `Model.edit`.

    `label` (NUM_IMAGES,) are the classes of the images.
    """
    images = space.render(space.fixed_sample(NUM_IMAGES, label), label)
    return dict(zip(attributes, measure(images, attributes.values()).std(0).tolist(), strict=True))


def measure(images: Tensor, attributes: Iterable[Attribute]) -> Tensor:
    """Return the attributes (N, A) of images (N, C, H, W) in [-1, 1]."""
    functions = list(attributes)
    return torch.cat([torch.stack([each(part) for each in functions], 1) for part in images.split(BATCH)])


def edit(
    space: Space,
    latents: Tensor,
    attributes: Mapping[str, Attribute],
    by: Mapping[str, float],
    label: Tensor | None = None,
    relative_to: Tensor | None = None,
) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) near the given ones, with attributes changed.

    The change is smaller than requested if the generator cannot generate such images.

    Args:
        by: requested changes by attribute, each in the unit of the attribute. 0 keeps an attribute constant.
        label: (N,), the class of each latent, for conditional generators.
        relative_to: the changes in `by` are relative to the images of these latents; the default is `latents`.
    """
    relative_to = latents if relative_to is None else relative_to
    chosen = [attributes[name] for name in by]
    wanted = torch.tensor(list(by.values()), dtype=torch.float32)
    if not chosen or (relative_to is latents and not wanted.any()):
        return latents
    with torch.no_grad():
        goals = measure(space.render(relative_to, label), chosen) + wanted  # (N, A)
    max_step = MAX_STEP * latents[0].numel() ** 0.5 * float(space.statistics[1].mean())

    def newton(start: Tensor, labels: Tensor | None, goal: Tensor) -> Tensor:
        q = start
        for _ in range(STEPS):
            values, jacobian = gradients(space, q, chosen, labels)  # (N, A), (N, A, D)
            q = take_step(q, DAMPING * shortest_step(jacobian, goal - values), max_step)
        return q

    return in_chunks(newton, space.device, latents, label, goals)


def shortest_step(jacobian: Tensor, change: Tensor) -> Tensor:
    """Return the shortest step (N, D) that changes attributes by (N, A), if their gradients (N, A, D) were constant."""
    gram = jacobian @ jacobian.mT + EPSILON * torch.eye(jacobian.shape[1], device=jacobian.device)
    return (jacobian.mT @ torch.linalg.solve(gram, change[..., None]))[..., 0]


def take_step(latents: Tensor, step: Tensor, max_step: float) -> Tensor:
    """Return latents (N, ...) after a step (N, D), which is shortened to `max_step` if it is longer."""
    return latents + (step * (max_step / step.norm(dim=1, keepdim=True).clamp(min=max_step))).view_as(latents)


def gradients(
    space: Space, latents: Tensor, attributes: Iterable[Attribute], label: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the attributes (N, A) of the images of latents (N, ...), and their gradients (N, A, D).

    D is the number of elements of a latent.
    """
    latents = latents.detach().requires_grad_()
    with torch.enable_grad():
        values = measure(space.synthesize(latents, label), attributes)
        rows = [torch.autograd.grad(each.sum(), latents, retain_graph=True)[0].flatten(1) for each in values.unbind(1)]
    return values.detach(), torch.stack(rows, 1)


# ---- position


def warp(images: Tensor, zoom: float = 0.0, shift_x: float = 0.0, shift_y: float = 0.0) -> Tensor:
    """Return images (N, C, H, W) zoomed and shifted, in units of ZOOM and SHIFT. Unknown pixels are NaN."""
    scale = ZOOM**-zoom
    theta = torch.tensor([[scale, 0, -2 * SHIFT * shift_x * scale], [0, scale, -2 * SHIFT * shift_y * scale]])
    grid = affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False).to(images)
    warped = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.where((grid.abs() <= 1).all(-1)[:, None], torch.nan)


def move(space: Space, latents: Tensor, by: Mapping[str, float], label: Tensor | None = None) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) near the given ones, with images zoomed and shifted.

    `by` has settings of POSITIONS, in units of ZOOM and SHIFT, and `label` (N,) the class of each latent.
    """
    if not any(by.values()):
        return latents
    targets = warp(space.render(latents, label), **by)
    return Descent(space, 0, POSITION_STEPS, POSITION_STEPS, noise=0.0)(latents, targets, label)[0]
