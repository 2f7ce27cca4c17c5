"""Features of published networks: Inception, as converted by torch-fidelity for FID, and DINOv2."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.metrics import pretrained as files
from gan.metrics.pixels import rgb
from gan.utils.errors import UserError, install

MODEL = "vit_large_patch14_dinov2"
SIDE = 224
PATCH = 14
MEAN = (0.485, 0.456, 0.406)  # of ImageNet
STD = (0.229, 0.224, 0.225)


class Inception(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 2048): the pooled layer (Heusel et al., 2017), after TensorFlow 1's resize.

    Args:
        weights: file of weights or its folder; None for torch.hub's folder.
        download: download the file if it is missing.

    Raises:
        UserError: torch-fidelity is not installed, or the file has another hash.
        MissingWeights: the file is missing.
    """

    name = "inception"
    dimension = 2048
    resize = "TensorFlow 1 bilinear, not antialiased, 299x299"
    weights = files.KNOWN["inception"].sha256

    def __init__(self, weights: str | os.PathLike[str] | None = None, download: bool = False) -> None:
        super().__init__()
        path = files.find("inception", weights, download)
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise UserError(f"inception needs torch-fidelity: {install('fid')}") from error
        plain = BytesIO()  # torch-fidelity unpickles the file, which could run code
        torch.save(torch.load(path, map_location="cpu", weights_only=True), plain)
        plain.seek(0)
        self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=plain)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(rgb(images).round().to(torch.uint8))[0]


class DINOv2(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 1024): the class token of ViT-L/14 (Oquab et al., 2023, arXiv:2304.07193).

    They agree with human judgment better than those of Inception (Stein et al., 2023).

    Arguments and errors as for `Inception`, with timm.
    """

    name = "dinov2"
    dimension = 1024
    resize = f"bicubic, antialiased, {SIDE}x{SIDE}"
    mean: Tensor
    std: Tensor
    weights = files.KNOWN["dinov2"].sha256

    def __init__(self, weights: str | os.PathLike[str] | None = None, download: bool = False) -> None:
        super().__init__()
        path = files.find("dinov2", weights, download)
        try:
            import timm
            from timm.models.vision_transformer import checkpoint_filter_fn
        except ImportError as error:
            raise UserError(f"dinov2 needs timm: {install('dinov2')}") from error
        with torch.device("meta"):
            network: Any = timm.create_model(MODEL, img_size=SIDE, num_classes=0)
        stored = torch.load(path, map_location="cpu", weights_only=True)
        stored["pos_embed"] = at_side(stored["pos_embed"], SIDE // PATCH)
        network.load_state_dict(checkpoint_filter_fn(stored, network), assign=True)
        self.network = network.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        x = interpolate(rgb(images), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 255)
        return self.network((x - self.mean) / self.std)


def at_side(positions: Tensor, side: int) -> Tensor:
    """Resize position embeddings (1, 1 + s^2, D) to (1, 1 + side^2, D).

    As in the authors' code: bicubic without antialiasing, with a scale that is slightly too large.
    """
    own, grid = positions[:, :1], positions[:, 1:]
    old = round(grid.shape[1] ** 0.5)
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)  # (1, D, s, s)
    grid = interpolate(grid, scale_factor=(side + 0.1) / old, mode="bicubic")
    return torch.cat([own, grid.flatten(2).transpose(1, 2)], 1)
