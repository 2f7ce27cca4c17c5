"""Directions in which pictures change, found without labels: SeFa in the weights, GANSpace in many points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan.latent.space import Space, synthesis_layers

POINTS = 10_000  # of w that its components are taken from
PICTURES = 1_500  # whose activations they are taken from in z


class Directions(NamedTuple):
    """Unit vectors (K, latent), and how far pictures usually lie apart along each (K,); the first explain the most."""

    vectors: Tensor
    spread: Tensor

    def scaled(self) -> Tensor:
        """(K, latent), each as long as its spread."""
        return self.vectors * self.spread[:, None]


def sefa(space: Space, label: Tensor | None = None, layers: Sequence[int] | None = None) -> Directions:
    """As many as a point has numbers, of w where there is a mapping: what moves the layers that it enters most.

    Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021, arXiv:2007.06600, equation 5.

    Args:
        space: of points that the inlets take.
        label: (1,), the class whose points the spread is of, of generators with classes.
        layers: which of the generator's inlets; all, if not given.
    """
    latent_weights = space.generator.latent_weights()
    vectors, _ = factorised(
        [latent_weights[layer] for layer in range(len(latent_weights)) if layers is None or layer in layers]
    )
    return Directions(vectors, (space.fixed(POINTS, label) @ vectors.T).std(0))


def factorised(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Eigenvectors (latent, latent), a row each, and eigenvalues of A^T A, the greatest first; A has the rows of all
    weights (outputs, latent), brought to unit length as the authors do."""
    rows = torch.cat([weight.detach().cpu().double() for weight in weights])
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    eigenvalues, vectors = torch.linalg.eigh(rows.T @ rows)
    return signed(vectors.T.flip(0)).float(), eigenvalues.flip(0).float()


def ganspace(space: Space, count: int, label: Tensor | None = None) -> Directions:
    """The `count` principal components of w; in z, the directions that go with those of the first stage's activations.

    Härkönen, Hertzmann, Lehtinen, Paris, "GANSpace: Discovering Interpretable GAN Controls", 2020, arXiv:2004.02546,
    section 3. In z the components P of activations are regressed on: each row of M, where P M is nearest to Z, is one.

    Args:
        label: (1,), the class whose points or pictures are taken, of generators with classes.
    """
    if space.name == "w":
        vectors, spread, _ = components(space.fixed(POINTS, label), count)
        return Directions(signed(vectors).float(), spread.float())
    z = space.fixed(PICTURES)
    _, spread, coordinates = components(activations(space, z, None if label is None else label.expand(PICTURES)), count)
    solved = torch.linalg.lstsq(coordinates, z.double()).solution  # (count, latent)
    length = solved.norm(dim=1)
    return Directions(signed(solved / length[:, None]).float(), (spread * length).float())


def components(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of x (N, D): unit vectors (count, D), deviations (count,), coordinates (N, count); float64.

    Through the smaller of the two matrices of products.
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
    """(N, D), what the first stage makes of latents (N, latent): that is, what the next one convolves first."""
    after = synthesis_layers(space.generator)[1]
    convolution = next(each for each in after.modules() if isinstance(each, nn.Conv2d | nn.ConvTranspose2d))
    found: list[Tensor] = []
    handle = convolution.register_forward_pre_hook(lambda module, given: found.append(given[0].flatten(1).cpu()))
    try:
        space.draw(z, label)
    finally:
        handle.remove()
    return torch.cat(found)[: len(z)]


def signed(vectors: Tensor) -> Tensor:
    """Rows turned so that the number of each that is furthest from 0 is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()
