"""EfficientNet-Lite0 with ImageNet weights that come with the package: features without a download.

Tan and Le, "EfficientNet", 2019, arXiv:1905.11946; the Lite variant has neither squeeze-excitation nor swish. In
lite0.safetensors, BatchNorm is folded into the convolutions, which is twice as fast on a CPU. The weights of dense
convolutions are stored in fp16, those of depthwise convolutions and the biases in fp32. The header of the file names
the original and its SHA-256.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gan.networks.layers import activations

WEIGHTS = Path(__file__).with_name("lite0.safetensors")
SHA256 = "20cf447eb2a598148f36f20b84533964ecd195877dd770beea4650ecbe370449"  # of this file
STAGES = [  # expansion, channels, blocks, stride of the first block, kernel size
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


class Lite0(nn.Module):
    """RGB in 0..255, float (N, 3, H, W) -> (N, 1280, H/32, W/32)."""

    dimension = 1280

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, stride=2)
        width, blocks = 32, []
        for expansion, channels, count, stride, kernel in STAGES:
            for index in range(count):
                blocks.append(Block(width, channels, expansion, kernel, 1 if index else stride))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = Convolution(width, self.dimension, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)[-1])

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the 16 blocks, at 1/2 to 1/32 of the size."""
        return self.normalized_features((x - 127) / 128)

    def normalized_features(self, x: Tensor) -> list[Tensor]:
        """Return the same as `features` for RGB images in about [-1, 1]."""
        return activations(self.stem(x), self.blocks)


class Block(nn.Module):
    """Inverted residual block: expand, depthwise convolution, project: (N, C, H, W) -> (N, D, H/stride, W/stride)."""

    def __init__(self, width: int, channels: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = width * expansion
        expand = [Convolution(width, inner, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand,
            Convolution(inner, inner, kernel, stride, groups=inner),
            Convolution(inner, channels, 1, linear=True),
        )
        self.residual = stride == 1 and width == channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Convolution(nn.Sequential):
    """Convolution with TensorFlow's "SAME" padding and BatchNorm folded in, followed by ReLU6 unless `linear`."""

    def __init__(
        self, width: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        if stride == 1:
            layers: list[nn.Module] = [nn.Conv2d(width, channels, kernel, padding=kernel // 2, groups=groups)]
        else:  # TensorFlow pads more at the bottom and right; valid if the stride divides the sides
            before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
            layers = [
                nn.ZeroPad2d((before, after, before, after)),
                nn.Conv2d(width, channels, kernel, stride, groups=groups),
            ]
        super().__init__(*layers, *([] if linear else [nn.ReLU6(inplace=True)]))


def pretrained() -> Lite0:
    with torch.device("meta"):  # uses no random numbers: the weights are replaced at once
        network = Lite0()
    network.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()}, assign=True)
    return network.eval().requires_grad_(False)
