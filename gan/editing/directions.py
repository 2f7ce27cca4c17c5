"""Find directions in latent space without labels: SeFa uses the weights, GANSpace many samples.

Each direction has the length of a standard deviation of latents along it. `effects` says what a direction changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gan.editing.attributes import for_channels, measure
from gan.editing.space import Space, network_name, require
from gan.utils.errors import UserError

NUM_LATENTS = 10_000  # samples of w for the principal components of GANSpace and for standard deviations
NUM_IMAGES = 1_500  # images for the activations of GANSpace in z
NUM_MEASURED = 48  # latents that are moved along a direction, to see what it changes
MOVE = 2.0  # multiples of a direction by which they are moved, in both senses
MIN_EFFECT = 0.25  # smallest mean change per unit of a direction, in standard deviations of the attribute over images
MIN_SPREAD = 0.01  # standard deviations of attributes are at least this, so that invisible changes have no name
MIN_AGREEMENT = 0.8  # smallest fraction of the images that change in the same sense


def sefa(space: Space, label: Tensor | None = None) -> Tensor:
    """Return the directions of SeFa (latent_dim, latent_dim), ordered by how much they change the inputs of the layers.

    Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", 2021, arXiv:2007.06600, equation 5. The
    standard deviations are those of the class `label` (1,).
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
    the latents. Latents and images are those of the class `label` (1,).
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
    with convolution.register_forward_pre_hook(lambda module, given: inputs.append(given[0].flatten(1).cpu())):
        space.render_uint8(z, label)
    return torch.cat(inputs)[: len(z)]


def fix_signs(vectors: Tensor) -> Tensor:
    """Return the vectors, with the sign of each changed so that its element of largest magnitude is positive."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()


def effects(space: Space, vectors: Mapping[str, Tensor], label: Tensor | None = None) -> dict[str, str]:
    """Return the attribute that each direction changes most, by the name of the direction, such as "less warmth".

    Directions without a clear effect on any attribute are left out: those whose strongest effect is below MIN_EFFECT,
    or whose images do not agree about its sign (MIN_AGREEMENT). The second direction with the same effect is
    "less warmth 2". The directions are (latent_dim,), and `label` (NUM_MEASURED,) are the classes of the images.
    """
    latents = space.fixed_sample(NUM_MEASURED, label)
    images = space.render(latents, label)
    attributes = for_channels(images.shape[1])

    def moved(step: Tensor) -> Tensor:
        return measure(space.render(latents + step, label), attributes.values())  # (NUM_MEASURED, attributes)

    spread = measure(images, attributes.values()).std(0).clamp(min=MIN_SPREAD)
    found: dict[str, str] = {}
    for name, vector in vectors.items():
        changes = (moved(MOVE * vector) - moved(-MOVE * vector)) / (2 * MOVE * spread)
        attribute, mean = max(zip(attributes, changes.mean(0).tolist(), strict=True), key=lambda pair: abs(pair[1]))
        same = (changes[:, list(attributes).index(attribute)] * mean > 0).float().mean()
        if abs(mean) >= MIN_EFFECT and same >= MIN_AGREEMENT:
            effect = attribute if mean > 0 else f"less {attribute}"
            count = 1 + sum(other.startswith(effect) for other in found.values())
            found[name] = effect if count == 1 else f"{effect} {count}"
    return found
