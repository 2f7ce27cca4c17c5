"""Layers that networks share: chains of stages, class conditioning, minibatch standard deviation, spectral norm.

The last section sets the precision of layers within autocast: fp32 at small resolutions, and clamped activations in
fp16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import _SpectralNorm

from gan.losses.heads import at_least_fp32

EPSILON = 1e-8
HALF_STAGES = 4  # number of largest resolutions that run in autocast's precision
EMBEDDING = "projection.embedding.weight"  # of the classes of a discriminator
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of BatchNorm
LIMIT = 256.0  # largest absolute value of activations in fp16


def activations(x: Tensor, layers: Iterable[Callable[[Tensor], Tensor]]) -> list[Tensor]:
    found = []
    for layer in layers:
        x = layer(x)
        found.append(x)
    return found


def stage_activations(x: Tensor, stages: Iterable[Callable[[Tensor], Tensor]], doublings: int) -> list[Tensor]:
    """Apply stages as `activations` does, in the precision of `run_stage`. Stage n is n halvings below the image."""
    run = (partial(run_stage, stage, halvings=n, doublings=doublings) for n, stage in enumerate(stages))
    return activations(x, run)


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm2d with a scale and a shift per class: (N, C, h, w) and labels (N,) -> (N, C, h, w).

    Dumoulin et al., "A Learned Representation for Artistic Style", 2017, arXiv:1610.07629, equation 5. The statistics
    are over all classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        scale, shift = self.scale[label][:, :, None, None], self.shift[label][:, :, None, None]
        return self.norm(x) * scale.to(x.dtype) + shift.to(x.dtype)


def batch_norm(channels: int, classes: int) -> nn.Module:
    return ConditionalBatchNorm2d(channels, classes) if classes else nn.BatchNorm2d(channels)


def apply_layers(layers: Any, x: Tensor, label: Tensor | None) -> Tensor:
    """Apply a Sequential or ModuleList to x; conditional layers also get the label."""
    for layer in layers:
        x = layer(x, label) if isinstance(layer, ConditionalBatchNorm2d) else layer(x)
    return x


class Layers(nn.Sequential):
    """A Sequential whose conditional layers also get the label."""

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return apply_layers(self, x, label)


class Projection(nn.Module):
    """Inner product (N,) of pooled features (N, C) with the embedding of the class.

    Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637, equation 4.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(classes, channels, bias=False)  # of one-hot labels; Linear for spectral_norm

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        return (self.embedding.weight.T[label].to(features.dtype) * features).sum(1)


def with_mean_class(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return weights for a network from those of another one, as the mean of their classes if it has other classes.

    If the number of classes differs, each class of conditional BatchNorm, and each embedding, is the mean of all. If
    only the network has classes, each class has the weights of BatchNorm2d. If only the other one has classes, their
    mean gives the weights of BatchNorm2d, and the mean embedding of a projection is added to the weights of the logit.
    """
    result, parameters = dict(weights), dict(network.named_parameters())
    for layer, module in network.named_modules():
        if isinstance(module, ConditionalBatchNorm2d):
            classes = len(module.scale)
            if f"{layer}.scale" in weights:
                result |= {name: of_classes(weights[name], classes) for name in (f"{layer}.scale", f"{layer}.shift")}
            elif f"{layer}.weight" in weights:  # the other network has no classes
                result[f"{layer}.scale"] = weights[f"{layer}.weight"].expand(classes, -1)
                result[f"{layer}.shift"] = weights[f"{layer}.bias"].expand(classes, -1)
                result |= {f"{layer}.norm.{statistic}": weights[f"{layer}.{statistic}"] for statistic in STATISTICS}
        elif isinstance(module, nn.BatchNorm2d) and f"{layer}.scale" in weights:  # only the other network has classes
            result[f"{layer}.weight"] = weights[f"{layer}.scale"].mean(0)
            result[f"{layer}.bias"] = weights[f"{layer}.shift"].mean(0)
            result |= {f"{layer}.{statistic}": weights[f"{layer}.norm.{statistic}"] for statistic in STATISTICS}
    for name in (name for name in weights if name.endswith("embedding.weight") and name in parameters):
        dim = 0 if isinstance(network.get_submodule(name.removesuffix(".weight")), nn.Embedding) else 1
        result[name] = of_classes(weights[name], parameters[name].shape[dim], dim)
    if EMBEDDING in weights and EMBEDDING not in parameters:
        logit = weights["to_logit.weight"]  # (1, C, ...)
        mean = weights[EMBEDDING].mean(1)  # (C, classes) -> (C,)
        result["to_logit.weight"] = logit + mean.reshape(1, -1, *[1] * (logit.ndim - 2))
    return result


def of_classes(values: Tensor, classes: int, dim: int = 0) -> Tensor:
    """Return values of each class along `dim`: the mean of all classes for each if there are others."""
    if values.shape[dim] == classes:
        return values
    return values.mean(dim, keepdim=True).repeat_interleave(classes, dim)


def with_minibatch_std(x: Tensor, group_size: int) -> Tensor:
    """Append `minibatch_std` as a channel: (N, C, h, w) -> (N, C + 1, h, w). A group size of 1 appends nothing."""
    return x if group_size == 1 else torch.cat([x, minibatch_std(x, group_size)], 1)


def minibatch_std(x: Tensor, group_size: int) -> Tensor:
    """Return the mean standard deviation within groups of images: (N, C, h, w) -> (N, 1, h, w).

    Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv:1710.10196,
    section 3. The map exposes a generator that repeats few images.

    The value is the same for all pixels of a group. The group size is the largest divisor of N up to `group_size`.
    """
    n = next(size for size in range(min(group_size, len(x)), 0, -1) if len(x) % size == 0)
    groups = x.float().reshape(n, -1, *x.shape[1:])  # (n, N/n, C, h, w)
    variance = (groups - groups.mean(0)).square().mean(0)  # Tensor.var takes three times as long on a CPU
    spread = (variance + EPSILON).sqrt().mean((1, 2, 3))  # (N/n,)
    return spread.to(x.dtype).repeat(n)[:, None, None, None].expand(-1, 1, *x.shape[2:])


class SpectralNorm(_SpectralNorm):
    """A parametrization W / sigma(W), with one power iteration per call in training.

    Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
    arXiv:1802.05957, algorithm 1.

    Unlike torch's, it runs in fp32 also under autocast, because rounding to half precision would undo small changes of
    the singular vectors. Within `torch.nn.utils.parametrize.cached()`, all passes of a network share one call.
    """

    def forward(self, weight: Tensor) -> Tensor:
        with full_precision(weight):
            return super().forward(weight)


def spectral_norm(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> nn.Module:
    """Apply spectral normalization to a layer, in place, and return the layer."""
    dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # of the outputs in the weight
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, dim=dim))
    return layer


def apply_spectral_norm(network: nn.Module) -> None:
    """Apply spectral normalization to every Conv2d and Linear layer, in place."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            spectral_norm(module)


# ---- Precision within autocast


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast on x's device; on "meta", which has no autocast, an empty context."""
    return nullcontext() if x.device.type == "meta" else torch.autocast(x.device.type, enabled=False)


def run_stage(stage: Callable[..., Any], x: Tensor, halvings: int, doublings: int, *others: Any) -> Any:
    """Return stage(x, *others), in autocast's precision at the four largest resolutions and in fp32 at smaller ones.

    The smallest grid is always in fp32. Small grids cost little time, and half precision lowers quality there: Karras
    et al., 2020, arXiv:2006.06676, appendix D, and Huang et al., 2024, arXiv:2501.05441.

    Args:
        halvings: number of halvings from the image to the resolution of the stage.
        doublings: number of doublings from the smallest grid to the image.
    """
    if halvings < min(HALF_STAGES, doublings):
        return stage(x, *others)
    with full_precision(x):
        return stage(at_least_fp32(x), *others)


def autocast_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype in which autocast runs a convolution of x; without autocast, the dtype of x."""
    if x.device.type == "meta" or not torch.is_autocast_enabled(x.device.type):
        return x.dtype
    return torch.get_autocast_dtype(x.device.type)


def clamp_fp16(x: Tensor) -> Tensor:
    """Clamp x if it is fp16, which overflows above 65504; return other tensors unchanged."""
    return x.clamp(-LIMIT, LIMIT) if x.dtype == torch.float16 else x
