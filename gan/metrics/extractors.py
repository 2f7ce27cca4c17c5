"""Feature extractors: the built-in ones, and how to load and run them. `gan.contracts` has their interface."""

from __future__ import annotations

import hashlib
import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, relu_
from torchvision.transforms.functional import normalize

from gan.contracts import Extractor, check
from gan.metrics import pretrained
from gan.metrics.pixels import as_rgb, resized, rgb
from gan.networks import lite0
from gan.utils.errors import UserError, install, reason

OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")  # module.Class
CHUNK = 16  # images per pass, because kernels round differently with other batch sizes


def extractor(name: str, **options: Any) -> Any:
    """Return a built-in extractor, or a custom one given as module.Class, which may be in the current folder.

    Raises:
        UserError: the name is unknown, or the class does not fit the contract.
        MissingWeights: the weights are missing.
    """
    kind = extractor_class(name)
    try:
        made = kind(**options)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # raised by a custom class
        raise UserError(f"extractor {name}: cannot be created ({reason(error)})") from error
    check(made, Extractor, f"extractor {name}")
    return made


def extractor_class(name: str) -> Any:
    """Return the class of an extractor; arguments and errors as for `extractor`."""
    if name in KNOWN:
        return KNOWN[name]
    if not OWN.fullmatch(name):
        raise UserError(f"extractor {name}: not known; use {', '.join(KNOWN)}, or a custom one as module.Class")
    module, _, attribute = name.rpartition(".")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return pkgutil.resolve_name(f"{module}:{attribute}")
    except (Exception, SystemExit) as error:  # a custom module can raise any error, or exit
        raise UserError(f"extractor {name}: cannot be loaded ({reason(error)})") from error


@torch.no_grad()
def features(extractor: Any, images: Tensor) -> Tensor:
    """Return features, float32 (N, D) on the CPU, of images uint8 (N, C, H, W). Each row depends on its image alone."""
    device = device_of(extractor)
    rows = []
    with exact_fp32(device):
        for part in images.split(CHUNK) if len(images) else ():
            padded = torch.cat([part, part[-1:].expand(CHUNK - len(part), -1, -1, -1)])
            rows.append(output_of(extractor, padded.to(device))[: len(part)].float().cpu())
    return torch.cat(rows) if rows else torch.empty(0, extractor.dimension)


@contextmanager
def exact_fp32(device: torch.device) -> Iterator[None]:
    """A context that disables autocast and TF32, so that scores do not depend on the settings of training."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def fingerprint(extractor: Any) -> tuple[str, ...]:
    """Return strings that identify the features in addition to the name: weights, resize, code and device."""
    kind = type(extractor)
    try:
        code = hashlib.sha256(Path(inspect.getfile(kind)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # a class defined in a notebook has no source file
        code = f"{kind.__module__}.{kind.__qualname__}"
    return extractor.weights, extractor.resize, code, device_of(extractor).type


def bias_notes(extractor: Any, config: Mapping[str, Any]) -> list[str]:
    """Return a note if a discriminator has an extractor's network: Kynkäänniemi et al., 2023, arXiv:2203.06026."""
    options = config.get("model", {}).get("discriminator", {})  # a shared model may have none
    backbone = str(options.get("backbone", "lite0")).partition(".")[0]  # without timm's tag of the weights
    known = extractor.backbones if "gan.networks.projected" in str(options.get("_target_")) else ()
    note = f"{extractor.name} scores favor this model, whose discriminator uses the same network; add random_conv"
    return [note] if backbone in known else []


def output_of(extractor: Any, images: Tensor) -> Tensor:
    """Return an extractor's output; raise UserError if it does not return one row per image."""
    found = extractor(images)
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise UserError(f"{extractor.name}: returned {shape} for {len(images)} images; return one row per image")
    return found


def device_of(extractor: Any) -> torch.device:
    parameters = extractor.parameters() if isinstance(extractor, nn.Module) else ()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


class Lite0Features(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 1280): the last layer before the classifier, averaged over the image."""

    name = "lite0"
    backbones = ("lite0", "tf_efficientnet_lite0")
    dimension = 1280
    resize = "bilinear, antialiased, 128x128"
    weights = lite0.SHA256

    def __init__(self) -> None:
        super().__init__()
        self.network = lite0.pretrained().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(resized(images, 128).contiguous(memory_format=torch.channels_last)).mean((2, 3))


class RandomConv(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 896): three random convolutions of the image at 64x64, each pooled to 2x2.

    Random filters measure color, texture and coarse layout, but not content. The names of metrics with these features
    end in `_random_conv`. Do not compare their values with those of other features.
    """

    name = "random_conv"
    dimension = 4 * (32 + 64 + 128)
    resize = "bilinear, antialiased, 64x64"
    weights = ""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        shapes = [(32, 3, 5, 5), (64, 32, 3, 3), (128, 64, 3, 3)]
        filters = [
            torch.randn(shape, generator=random) * (2 / (shape[1] * shape[2] * shape[3])) ** 0.5 for shape in shapes
        ]  # He et al., 2015: keeps the scale of activations
        self.filters = nn.ParameterList(
            nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
            for weight in filters
        )

    def forward(self, images: Tensor) -> Tensor:
        x = resized(images, 64) / 127.5 - 1  # (N, 3, 64, 64)
        x = x.contiguous(memory_format=torch.channels_last)
        pooled = []
        for weight in self.filters:
            x = relu_(nn.functional.conv2d(x, weight, stride=2, padding=weight.shape[-1] // 2))  # (N, C, h/2, w/2)
            pooled.append(adaptive_avg_pool2d(x, 2).flatten(1))
        return torch.cat(pooled, 1)


class Inception(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 2048): the pooled layer (Heusel et al., 2017), after TensorFlow 1's resize.

    The network is that of torch-fidelity, which is converted from the one of FID.

    Arguments and errors as for `pretrained.find`; UserError also if torch-fidelity is not installed.
    """

    name = "inception"
    dimension = 2048
    resize = "TensorFlow 1 bilinear, not antialiased, 299x299"
    weights = pretrained.KNOWN["inception"].sha256

    def __init__(self, weights: str | os.PathLike[str] | None = None, download: bool = False) -> None:
        super().__init__()
        path = pretrained.find("inception", weights, download)
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise UserError(f"inception needs torch-fidelity: {install('fid')}") from error
        plain = BytesIO()  # torch-fidelity unpickles the file, which could run code
        torch.save(torch.load(path, map_location="cpu", weights_only=True), plain)
        plain.seek(0)
        self.network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=plain)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(as_rgb(images))[0]


class DINOv2(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 1024): the class token of ViT-L/14 (Oquab et al., 2023, arXiv:2304.07193).

    Distances agree with human judgment better than those of Inception (Stein et al., 2023, arXiv:2306.04675).

    Arguments and errors as for `pretrained.find`; UserError also if timm is not installed.
    """

    name = "dinov2"
    dimension = 1024
    resize = "bicubic, antialiased, 224x224"
    weights = pretrained.KNOWN["dinov2"].sha256
    model, side = "vit_large_patch14_dinov2", 224
    backbones = (model,)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

    def __init__(self, weights: str | os.PathLike[str] | None = None, download: bool = False) -> None:
        super().__init__()
        path = pretrained.find("dinov2", weights, download)
        try:
            import timm
            from timm.models.vision_transformer import checkpoint_filter_fn
        except ImportError as error:
            raise UserError(f"dinov2 needs timm: {install('dinov2')}") from error
        with torch.device("meta"):
            network: Any = timm.create_model(self.model, img_size=self.side, num_classes=0)
        state = torch.load(path, map_location="cpu", weights_only=True)
        state["pos_embed"] = resized_positions(state["pos_embed"], *network.patch_embed.grid_size)
        network.load_state_dict(checkpoint_filter_fn(state, network), assign=True)
        self.network = network.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        x = interpolate(rgb(images), (self.side, self.side), mode="bicubic", antialias=True).clamp(0, 255) / 255
        return self.network(normalize(x, self.mean, self.std))


KNOWN = {kind.name: kind for kind in (Lite0Features, RandomConv, Inception, DINOv2)}


def resized_positions(positions: Tensor, rows: int, columns: int) -> Tensor:
    """Resize position embeddings (1, 1 + s^2, D) to (1, 1 + rows * columns, D).

    As in the authors' code: bicubic without antialiasing, at a scale that is slightly too large.
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    grid = positions[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, D, s, s)
    grid = interpolate(grid, scale_factor=((rows + 0.1) / side, (columns + 0.1) / side), mode="bicubic")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], 1)
