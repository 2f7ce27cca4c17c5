"""Find directions in latent space without labels: SeFa uses the weights, GANSpace many samples.

Each direction has the length of a standard deviation of latents along it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan.editing.space import Space, network_name, require
from gan.utils.errors import UserError

NUM_LATENTS = 10_000  # samples of w for the principal components of GANSpace and for standard deviations
NUM_IMAGES = 1_500  # images for the activations of GANSpace in z


def sefa(space: Space, label: Tensor | None = None) -> Tensor:
    """Return the directions of SeFa (latent_dim, latent_dim), ordered by how much they change the inputs of the layers.

    Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021, arXiv:2007.06600, equation 5.

    Args:
        label: (1,), the class of the latents for the standard deviations, for conditional generators.
    """
    vectors = factorize(require(space.generator, "latent_weights", "SeFa", "; --sefa 0 disables SeFa")())
    return vectors * (space.fixed_sample(NUM_LATENTS, label) @ vectors.T).std(0)[:, None]


def factorize(weights: Sequence[Tensor]) -> Tensor:
    """Return the eigenvectors of A^T A as rows (latent_dim, latent_dim), that of the largest eigenvalue first.

    A consists of the rows of all weights (outputs, latent_dim), normalized to unit length as in the authors' code.
    """
    rows = torch.cat([weight.detach().cpu().double() for weight in weights])
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return fix_signs(torch.linalg.eigh(rows.T @ rows)[1].T.flip(0)).float()


def ganspace(space: Space, count: int, label: Tensor | None = None) -> Tensor:
    """Return the first directions of GANSpace (count, latent_dim): in w the components of w, in z a regression.

    Härkönen, Hertzmann, Lehtinen, Paris, "GANSpace: Discovering Interpretable GAN Controls", 2020, arXiv:2004.02546,
    section 3. In z, the rows of P (N, count) are the coordinates of activations on the principal components of the
    first layer. The directions are the rows of the least-squares solution M of P M = Z, where Z (N, latent_dim) are
    the latents.

    Args:
        label: (1,), the class of the latents or images, for conditional generators.
    """
    if space.name == "w":
        vectors, std, _ = principal_components(space.fixed_sample(NUM_LATENTS, label), count)
        return fix_signs(vectors).float() * std.float()[:, None]
    z = space.fixed_sample(NUM_IMAGES)
    labels = None if label is None else label.expand(NUM_IMAGES)
    _, std, coordinates = principal_components(activations(space, z, labels), count)
    solved = torch.linalg.lstsq(coordinates, z.double()).solution  # (count, latent_dim)
    length = solved.norm(dim=1)
    return fix_signs(solved / length[:, None]).float() * (std * length).float()[:, None]


def principal_components(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first principal components (count, D) of x (N, D), all in float64.

    Also return the standard deviation along each (count,) and the coordinates of each row of x (N, count). The
    function decomposes the covariance matrix or the Gram matrix, whichever is smaller.
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
    """Return the flattened input (N, D) of the convolution in the second synthesis layer, for latents z."""
    leave_out = "; --pca 0 disables GANSpace"
    layers = list(require(space.generator, "synthesis_layers", "GANSpace", leave_out))
    kinds = nn.Conv2d | nn.ConvTranspose2d
    convolution = next((each for layer in layers[1:2] for each in layer.modules() if isinstance(each, kinds)), None)
    if convolution is None:
        name = network_name(space.generator)
        raise UserError(f"{name} has no convolution in its second synthesis layer, which GANSpace needs{leave_out}")
    inputs: list[Tensor] = []
    handle = convolution.register_forward_pre_hook(lambda module, given: inputs.append(given[0].flatten(1).cpu()))
    space.render_uint8(z, label)
    handle.remove()
    return torch.cat(inputs)[: len(z)]


def fix_signs(vectors: Tensor) -> Tensor:
    """Return the vectors, with the sign of each changed so that its element of largest magnitude is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()
