"""Patchwise contrastive learning: a patch of the translation says where in the picture it came from.

Park, Efros, Zhang, Zhu, "Contrastive Learning for Unpaired Image-to-Image Translation", 2020, arXiv:2007.15651.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError
from gan.contracts import TranslationStep


class PatchNCE(nn.Module):
    """weight * the mean of NCE(a, G(a)) over patches and layers; with `identity` half of it and half of NCE(b, G(b)).

    Equations 3 to 5 and section 3: features of G's encoder at random places, through a small network a layer, to unit
    length; of a patch of the translation the same place of the picture must be told from the picture's other places,
    all of which are taken from the same picture. The features of the picture itself are not moved by it.

    Args:
        channels, width: of the generator, `gan.networks.resnet_translator.Generator`, whose `features` are compared.
        layers: of these features; 0 is the picture.
        patches: places a layer, fewer where there are not as many.
        dim: numbers that a patch is told by.
        temperature: tau.
        weight: lambda.
        identity: also on pictures of the target, which G is to leave as they are.
        flip: every second batch (drawn) against the picture mirrored, as in FastCUT.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    network = "generator"

    def __init__(
        self,
        channels: int,
        width: int,
        layers: Sequence[int] = (0, 2, 3, 4, 8),
        patches: int = 256,
        dim: int = 256,
        temperature: float = 0.07,
        weight: float = 1.0,
        identity: bool = True,
        flip: bool = False,
        interval: int = 1,
    ) -> None:
        super().__init__()
        if not layers:
            raise UserError("penalty patch_nce: layers=[]: at least one")
        before = [channels if layer == 0 else width * min(2 ** (layer - 1), 4) for layer in layers]
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(size, dim), nn.ReLU(), nn.Linear(dim, dim)) for size in before
        )
        self.layers = list(layers)
        self.patches = patches
        self.temperature = temperature
        self.weight = weight
        self.identity = identity
        self.flip = flip
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        flip = self.flip and bool(torch.rand(()) < 0.5)
        term = self.contrast(step.generator, step.real_a, step.fake, flip)
        if self.identity:
            term = (term + self.contrast(step.generator, step.real, step.generator(step.real), flip=False)) / 2
        return self.weight * term

    def contrast(self, generator: nn.Module, picture: Tensor, translation: Tensor, flip: bool) -> Tensor:
        """Equation 4: the cross-entropy of finding each patch's place, the mean over patches and layers."""
        queries = self.maps(generator, translation)
        with torch.no_grad():
            keys = self.maps(generator, picture.flip(3) if flip else picture)
        terms = []
        for head, query, key in zip(self.heads, queries, keys, strict=True):
            places = torch.randperm(query.shape[2] * query.shape[3], device=query.device)[: self.patches]
            q = self.told(head, query.flip(3) if flip else query, places)  # (N, S, dim)
            with torch.no_grad():
                k = self.told(head, key, places)
            with torch.autocast(q.device.type, enabled=False):
                logits = q @ k.mT / self.temperature  # (N, S, S), in fp32
            own = torch.arange(len(places), device=q.device).expand(len(q), -1)
            terms.append(F.cross_entropy(logits.flatten(0, 1), own.flatten()))
        return torch.stack(terms).mean()

    def maps(self, generator: nn.Module, x: Tensor) -> list[Tensor]:
        """Raises UserError where the generator has no such layers."""
        found: list[Tensor] = generator.features(x) if hasattr(generator, "features") else []  # type: ignore[operator]
        if max(self.layers) >= len(found):
            raise UserError(f"penalty=patch_nce: layers={self.layers}, but the generator has {len(found)} to compare")
        return [found[layer] for layer in self.layers]

    @staticmethod
    def told(head: nn.Module, features: Tensor, places: Tensor) -> Tensor:
        """(N, C, h, w) at S places -> (N, S, dim), each of length 1, in fp32."""
        vectors = features.flatten(2)[:, :, places].mT  # (N, S, C)
        return F.normalize(head(vectors).float(), dim=-1)
