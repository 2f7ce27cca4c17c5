"""Features of the Inception network of the published FID, as converted by torch-fidelity."""

from __future__ import annotations

import os
from io import BytesIO

import torch
from torch import Tensor, nn

from gan.metrics import pretrained as files
from gan.metrics.pixels import rgb
from gan.utils.errors import UserError, install


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
