"""Features of the networks of timm, CNNs and ViTs, for the discriminator of Projected GAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.transforms.functional import normalize

from gan.utils.errors import UserError, install
from gan.utils.untrusted import read_tensors

STRIDES = (4, 8, 16, 32)
FILE = "model.safetensors"  # of a network on the Hub


class TimmFeatures(nn.Module):
    """RGB in [-1, 1] (N, 3, H, W) -> four features (N, C_i, h, w), at 1/4 to 1/32 of the size.

    A CNN has those of its last four stages. A ViT has its patch tokens after each quarter of its blocks, as grids that
    are resized. Images are normalized as timm's configuration says. The weights are random until `load_pretrained`.
    UserError is raised if timm is missing, or if the network is unknown or has no such features.
    """

    def __init__(self, name: str, weights: str | None = None) -> None:
        super().__init__()
        self.name, self.option, self.weights = name, f"model.discriminator.backbone={name}", weights
        self.network = self.create()
        stages: list[dict[str, Any]] = list(self.network.feature_info)
        if len(stages) < len(STRIDES) or not hasattr(self.network, "forward_intermediates"):
            raise UserError(f"{self.option}: has no features at four stages; use another network")
        self.stride = max(stage["reduction"] for stage in stages)
        is_vit, n = stages[0]["reduction"] == self.stride, len(stages)
        self.indices = [n // 4 - 1, n // 2 - 1, 3 * n // 4 - 1, n - 1] if is_vit else list(range(n - 4, n))
        self.channels = tuple(stages[index]["num_chs"] for index in self.indices)
        self.config = self.network.pretrained_cfg

    def create(self, **options: Any) -> Any:
        """Return the network without its classifier."""
        try:
            import timm

            if not timm.is_model(self.name):  # timm would download what other names stand for
                raise UserError(f"{self.option}: is neither lite0 nor a network of timm; see timm.list_models()")
            network: Any = timm.create_model(self.name, **options)
        except ImportError as error:
            raise UserError(f"{self.option}: needs timm: {install('timm')}") from error
        except RuntimeError as error:
            raise UserError(f"{self.option}: the weights are those of another network") from error
        network.reset_classifier(0)
        return network.eval().to(memory_format=torch.channels_last)

    def resized(self, size: tuple[int, int]) -> Self:
        """Set the size (H, W) of images, on which the positions in a ViT depend, and freeze the network."""
        self.size = size
        if self.config["fixed_input_size"]:
            self.network.set_input_size(size)
        return self.requires_grad_(False)

    def load_pretrained(self) -> None:
        """Load the weights from their file, or from the Hub; raise UserError if they are missing or do not fit."""
        tensors, _ = read_tensors(Path(self.weights) if self.weights else self.download())
        source = {"state_dict": tensors, "hf_hub_id": None, "url": None, "custom_load": False}
        self.network = self.create(pretrained=True, pretrained_cfg_overlay=source)
        self.resized(self.size)

    def download(self) -> Path:
        """Return the file of the weights in the cache of the Hub, to which it is downloaded if it is missing."""
        import huggingface_hub as hub

        repository = str(self.config["hf_hub_id"])
        try:
            if not isinstance(path := hub.try_to_load_from_cache(repository, FILE), str):
                hub.get_hf_file_metadata(hub.hf_hub_url(repository, FILE))  # fails at once; the next line retries
                path = hub.hf_hub_download(repository, FILE)
        except Exception as error:  # networks, proxies and disks raise many kinds of error
            give = f"give {FILE} of {repository} with model.discriminator.weights=PATH"
            raise UserError(f"{self.option}: the Hub cannot be reached ({type(error).__name__}); {give}") from error
        return Path(path)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, so that BatchNorm keeps the statistics of the pretrained network."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = normalize((x + 1) / 2, self.config["mean"], self.config["std"])
        features = self.network.forward_intermediates(x, indices=self.indices, intermediates_only=True)
        scales = [[32 * round(side / 32) // stride for side in self.size] for stride in STRIDES]
        return [
            y if list(y.shape[2:]) == scale else interpolate(y, scale, mode="bilinear", antialias=True)
            for y, scale in zip(features, scales, strict=True)
        ]
