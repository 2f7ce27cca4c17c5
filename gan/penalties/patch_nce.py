"""PatchNCE: a contrastive loss between patches of an image and patches of its translation.

Park, Efros, Zhang, Zhu, "Contrastive Learning for Unpaired Image-to-Image Translation", 2020, arXiv:2007.15651.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.contracts import TranslationStep
from gan.networks.layers import activations
from gan.networks.translator_layers import initialize
from gan.utils.errors import UserError


class PatchNCE(nn.Module):
    """weight * mean over patches and layers of NCE(a, G(a)); with `identity`, of both NCE(a, G(a)) and NCE(b, G(b)).

    Equations 3 to 5 and section 3 of the paper. A small network per layer projects features of G's encoder at random
    positions to unit vectors. A patch of the translation (query) must match the patch of the image at the same position
    (positive) among the other positions of the same image (negatives). No gradient flows through the image's features.

    Args:
        channels, width: of the generator, a `gan.networks.resnet_translator.Generator`.
        layers: numbers of the layers of its `encoder` whose outputs are compared; the default is that of CUT's code.
        num_patches: number of positions per layer, or all positions if there are fewer.
        identity: also compare images of the target domain with their translations.
        flip: compare with the mirrored image with probability 0.5 per batch, as in FastCUT.
        init: "xavier" (CUT's code) or "normal", see `translator_layers.initialize`; None for that of torch.
    """

    network = "generator"

    def __init__(
        self,
        channels: int,
        width: int,
        layers: Sequence[int] = (0, 4, 8, 12, 16),
        num_patches: int = 256,
        embedding_dim: int = 256,
        temperature: float = 0.07,
        weight: float = 1.0,
        identity: bool = True,
        flip: bool = False,
        interval: int = 1,
        init: str | None = None,
    ) -> None:
        super().__init__()
        widths = [width * min(2 ** (layer // 4), 4) if layer else channels for layer in layers]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(before, embedding_dim), nn.ReLU(), nn.Linear(embedding_dim, embedding_dim))
            for before in widths
        )
        if init is not None:
            self.heads.apply(partial(initialize, init=init))
        self.layers = list(layers)
        self.num_patches = num_patches
        self.temperature = temperature
        self.weight = weight
        self.identity = identity
        self.flip = flip
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        flip = self.flip and bool(torch.rand(()) < 0.5)
        term = self.nce(step.generator, step.real_a, step.fake, flip)
        if self.identity:
            term = (term + self.nce(step.generator, step.real, step.generator(step.real), flip=False)) / 2
        return self.weight * term

    def nce(self, generator: nn.Module, image: Tensor, translation: Tensor, flip: bool) -> Tensor:
        """Return equation 4, the cross-entropy of the matching position: mean over patches and layers."""
        queries = self.feature_maps(generator, translation)
        with torch.no_grad():
            keys = self.feature_maps(generator, image.flip(3) if flip else image)
        terms = []
        for head, query, key in zip(self.heads, queries, keys, strict=True):
            positions = torch.randperm(query.shape[2] * query.shape[3], device=query.device)[: self.num_patches]
            q = self.project(head, query.flip(3) if flip else query, positions)  # (N, S, embedding_dim)
            with torch.no_grad():
                k = self.project(head, key, positions)
            with torch.autocast(q.device.type, enabled=False):
                logits = q @ k.mT / self.temperature  # (N, S, S), in fp32
            target = torch.arange(len(positions), device=q.device).expand(len(q), -1)
            terms.append(F.cross_entropy(logits.flatten(0, 1), target.flatten()))
        return torch.stack(terms).mean()

    def feature_maps(self, generator: nn.Module, x: Tensor) -> list[Tensor]:
        encoder: list[nn.Module] = getattr(generator, "encoder", [])
        if max(self.layers) >= len(encoder):
            advice = "use model=cut, cyclegan or pix2pix, and indices of their layers"
            raise UserError(f"penalty.patch_nce.layers={self.layers}: this generator has {len(encoder)}; {advice}")
        outputs = activations(x, encoder[: max(self.layers) + 1])
        return [outputs[layer] for layer in self.layers]

    @staticmethod
    def project(head: nn.Module, features: Tensor, positions: Tensor) -> Tensor:
        """Return features (N, C, h, w) at S positions as unit vectors (N, S, embedding_dim), in fp32."""
        vectors = features.flatten(2)[:, :, positions].mT  # (N, S, C)
        return F.normalize(head(vectors).float(), dim=-1)
