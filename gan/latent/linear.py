"""Edit one latent approximately: attributes along their gradients at that latent, without iterations.

`gan.latent.attributes.edit` computes gradients again in each of its steps. Here they are computed once, so that each
further edit of the same latent takes one forward pass, for an image that follows a slider.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gan.images.convert import to_uint8
from gan.latent.attributes import Attribute, gradients, longest_step, shortest_step, take_step
from gan.latent.space import Space

MAX_CHANGE = 0.7  # maximum length of a change, as a fraction of the standard deviation of latents


class LinearEdit:
    """Edits of one latent (1, latent_dim) or (1, layers, latent_dim).

    Args:
        attributes: attributes by name.
        label: (1,), the class of the latent, for conditional generators.
    """

    def __init__(
        self, space: Space, latents: Tensor, attributes: Mapping[str, Attribute], label: Tensor | None = None
    ) -> None:
        self.space, self.label = space, None if label is None else label.to(space.device)
        self.latents = latents.to(space.device)
        self.names = list(attributes)
        self.jacobian = gradients(space, self.latents, attributes.values(), self.label)[1]  # (1, A, D)
        self.largest = longest_step(space, latents, MAX_CHANGE)

    @torch.no_grad()
    def __call__(self, by: Mapping[str, float], moved: Tensor | None = None) -> Tensor:
        """Return the image uint8 (1, C, H, W) after approximate changes of attributes.

        Args:
            by: changes by attribute, each in the unit of the attribute; 0 keeps an attribute constant.
            moved: the latent after other changes; the default is the latent itself.
        """
        q = self.latents if moved is None else moved.to(self.latents.device)
        if by:
            rows = self.jacobian[:, [self.names.index(name) for name in by]]
            q = take_step(q, shortest_step(rows, rows.new_tensor([list(by.values())])), self.largest)
        return to_uint8(self.space.synthesize(q, self.label)).cpu()
