"""Directions in latent space found without labels: SeFa from the weights, GANSpace from many samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.latent.space import Space, network_name, require

NUM_LATENTS = 10_000  # of w, for its principal components
NUM_IMAGES = 1_500  # whose activations GANSpace takes in z


class Directions(NamedTuple):
    """Unit vectors (K, latent_dim) and the standard deviation of latents along each (K,), the most important first."""

    vectors: Tensor
    std: Tensor

    def scaled(self) -> Tensor:
        """Return (K, latent_dim): each vector times its standard deviation."""
        return self.vectors * self.std[:, None]


def sefa(space: Space, label: Tensor | None = None, layers: Sequence[int] | None = None) -> Directions:
    """Return latent_dim directions, of w if there is a mapping network: those that change the layers' inputs most.

    Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021, arXiv:2007.06600, equation 5.

    Args:
        space: the space whose latents the generator's `latent_weights` take.
        label: (1,), the class whose latents give the standard deviations, of generators with classes.
        layers: indices of `latent_weights` to use; the default is all.

    Raises:
        UserError: the generator has no `latent_weights`.
    """
    weights = require(space.generator, "latent_weights", "SeFa", "; --sefa 0 disables SeFa")()
    vectors, _ = factorize([weights[layer] for layer in range(len(weights)) if layers is None or layer in layers])
    return Directions(vectors, (space.fixed_sample(NUM_LATENTS, label) @ vectors.T).std(0))


def factorize(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return eigenvectors (latent_dim, latent_dim) in rows and eigenvalues of A^T A, the greatest first.

    A stacks the rows of all weights (outputs, latent_dim), normalized to unit length as the authors do.
    """
    rows = torch.cat([weight.detach().cpu().double() for weight in weights])
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    eigenvalues, vectors = torch.linalg.eigh(rows.T @ rows)
    return fix_signs(vectors.T.flip(0)).float(), eigenvalues.flip(0).float()


def ganspace(space: Space, count: int, label: Tensor | None = None) -> Directions:
    """Return the first `count` principal components of w; in z, the directions regressed on activations.

    Härkönen, Hertzmann, Lehtinen, Paris, "GANSpace: Discovering Interpretable GAN Controls", 2020, arXiv:2004.02546,
    section 3. In z, P holds the principal components of the first layer's activations. Each row of the M for which
    P M is nearest to Z is a direction.

    Args:
        label: (1,), the class whose latents or images are used, of generators with classes.

    Raises:
        UserError: in z, the generator has no `synthesis_layers`.
    """
    if space.name == "w":
        vectors, std, _ = principal_components(space.fixed_sample(NUM_LATENTS, label), count)
        return Directions(fix_signs(vectors).float(), std.float())
    z = space.fixed_sample(NUM_IMAGES)
    labels = None if label is None else label.expand(NUM_IMAGES)
    _, std, coordinates = principal_components(activations(space, z, labels), count)
    solved = torch.linalg.lstsq(coordinates, z.double()).solution  # (count, latent_dim)
    length = solved.norm(dim=1)
    return Directions(fix_signs(solved / length[:, None]).float(), (std * length).float())


def principal_components(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return unit vectors (count, D), standard deviations (count,) and coordinates (N, count) of x (N, D); float64.

    It decomposes the smaller of the covariance and the Gram matrix.
    """
    centered = (x - x.mean(0)).double()
    count = min(count, *centered.shape)
    if centered.shape[1] <= len(centered):
        vectors = torch.linalg.eigh(centered.T @ centered)[1].T.flip(0)[:count]
    else:
        left = torch.linalg.eigh(centered @ centered.T)[1].T.flip(0)[:count]  # (count, N)
        vectors = left @ centered
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
    coordinates = centered @ vectors.T
    return vectors, coordinates.std(0), coordinates


@torch.no_grad()
def activations(space: Space, z: Tensor, label: Tensor | None) -> Tensor:
    """Return (N, D): the first layer's output for latents (N, latent_dim), which the second layer convolves."""
    leave_out = "; --pca 0 disables GANSpace"
    layers = list(require(space.generator, "synthesis_layers", "GANSpace", leave_out))
    kinds = nn.Conv2d | nn.ConvTranspose2d
    convolution = next((each for layer in layers[1:2] for each in layer.modules() if isinstance(each, kinds)), None)
    if convolution is None:
        name = network_name(space.generator)
        raise UserError(f"{name} has no convolution in its second synthesis layer, which GANSpace needs{leave_out}")
    found: list[Tensor] = []
    handle = convolution.register_forward_pre_hook(lambda module, given: found.append(given[0].flatten(1).cpu()))
    try:
        space.render_uint8(z, label)
    finally:
        handle.remove()
    return torch.cat(found)[: len(z)]


def fix_signs(vectors: Tensor) -> Tensor:
    """Return rows with signs such that the number of largest magnitude in each is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()
