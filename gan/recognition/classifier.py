"""A classifier of a run: the layers of its discriminator and a linear map, saved as numbers and never as code."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import Tensor

from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.common.untrusted import parse_json
from gan.inference.loading import load_discriminator
from gan.latent.attributes import Attribute
from gan.latent.store import check_header, fingerprint
from gan.recognition.features import Layers
from gan.recognition.probe import KINDS, Probe, Reduction
from gan.run.checkpoint_io import are_classes
from gan.run.run_folder import RECOGNITION

WEIGHTS, ABOUT = "classifier.safetensors", "classifier.json"
LARGEST = 64_000_000  # bytes of the latter


class Classifier(NamedTuple):
    """Images uint8 (N, C, H, W) -> (N, classes) that sum to 1: the more the likelier, and of kind "logistic"
    probabilities, which of kind "svm" they are not."""

    layers: Layers
    probe: Probe
    classes: list[str]
    kind: str

    def __call__(self, images: Tensor) -> Tensor:
        return self.probe(self.fitting(self.layers(images))).softmax(1)

    def fitting(self, features: Tensor) -> Tensor:
        """Features as they are; UserError where the linear map is of others."""
        if features.shape[1] != len(self.probe.weight):
            counts = f"{len(self.probe.weight):,} numbers an image, and the discriminator gives {features.shape[1]:,}"
            raise UserError(f"the classifier is of {counts}; gan recognize fit makes one anew")
        return features

    def attributes(self) -> dict[str, Attribute]:
        """Of each class that was learned, by its name, how much likelier than all others it is (`odds`)."""
        there = [(n, name) for n, name in enumerate(self.classes) if self.probe.bias[n].isfinite()]
        return {name: partial(self.odds, n) for n, name in there}

    def odds(self, n: int, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1] -> (N,), differentiable: of kind "logistic" the logarithm of the odds of
        class n."""
        weight, bias = self.probe.weight, self.probe.bias
        logits = self.fitting(self.layers.pooled(pictures.to(self.layers.device)).to(weight)) @ weight + bias
        others = logits[:, torch.arange(len(bias)) != n].logsumexp(1)
        return (logits[:, n] - others).to(pictures)


def joined(reduction: Reduction, probe: Probe) -> Probe:
    """One linear map of features in place of two."""
    weight = reduction.matrix @ probe.weight
    return Probe(weight, probe.bias - reduction.mean @ weight, probe.constant)


def write(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    """Two files, with what else is to be said of it.

    Raises:
        OSError: the file system does not take it.
    """
    network = classifier.layers.network
    tensors = {f"statistics.{name}": value.contiguous() for name, value in network.named_buffers()}
    tensors |= {"weight": classifier.probe.weight.contiguous(), "bias": classifier.probe.bias}
    known = {"classes": classifier.classes, "classifier": classifier.kind, "discriminator": fingerprint(network)}
    encoded = save(tensors)
    write_atomically(folder / WEIGHTS, lambda file: file.write(encoded))
    text = json.dumps(known | about, indent=1)
    write_atomically(folder / ABOUT, lambda file: file.write(text.encode()))


def read(folder: Path, discriminator: Any) -> Classifier:
    """What `write` has written.

    Raises:
        UserError: there is none, it is damaged, or it is of another discriminator.
    """
    if not all((folder / name).is_file() for name in (ABOUT, WEIGHTS)):
        raise UserError(f"{folder}: holds no classifier; gan recognize fit makes one")
    broken = f"{folder}: its classifier cannot be read"
    try:
        if (size := (folder / ABOUT).stat().st_size) > LARGEST:
            raise UserError(f"{broken} ({ABOUT} has {size:,} bytes)")
        about = parse_json((folder / ABOUT).read_bytes())
        check_header(folder / WEIGHTS)
        tensors = load_safetensors((folder / WEIGHTS).read_bytes())
        classes, kind, of = about["classes"], about["classifier"], about["discriminator"]
        probe = Probe(tensors["weight"], tensors["bias"], 0.0)
        statistics = [(value, tensors[f"statistics.{name}"]) for name, value in discriminator.named_buffers()]
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(f"{broken} ({error})") from error
    if not isinstance(classes, list) or not are_classes(classes) or kind not in KINDS:
        raise UserError(f"{broken} (its classes are no names, or its kind is none of {', '.join(KINDS)})")
    if reason := unfit(probe, len(classes)) or unlike(statistics):
        raise UserError(f"{broken} ({reason})")
    if of != fingerprint(discriminator):
        raise UserError(f"{folder}: its classifier is of another run or checkpoint; gan recognize fit makes one anew")
    with torch.no_grad():
        for value, kept in statistics:
            value.copy_(kept)
    return Classifier(Layers(discriminator), probe, classes, kind)


def unfit(probe: Probe, classes: int) -> str | None:
    """Why a linear map is none to so many classes, or None if it is; classes that were not learned have a bias of
    -inf."""
    weight, bias = probe.weight, probe.bias
    if weight.dtype != torch.float32 or bias.dtype != torch.float32 or weight.ndim != 2 or bias.ndim != 1:
        return f"weight {weight.dtype} {tuple(weight.shape)}, bias {bias.dtype} {tuple(bias.shape)}"
    if weight.shape[1] != classes or len(bias) != classes or classes < 2:
        return f"{classes} names, a weight for {weight.shape[1]} classes and a bias for {len(bias)}"
    if not bool(weight.isfinite().all()) or bool((bias.isnan() | bias.isposinf()).any()) or bias.isfinite().sum() < 2:
        return "its numbers are not finite"
    return None


def unlike(statistics: list[tuple[Tensor, Tensor]]) -> str | None:
    """Why statistics are none for the buffers that they are to be copied to, or None if they are."""
    for value, kept in statistics:
        if kept.shape != value.shape or kept.dtype != value.dtype:
            return f"statistics {kept.dtype} {tuple(kept.shape)} for {value.dtype} {tuple(value.shape)}"
        if kept.is_floating_point() and not bool(kept.isfinite().all()):
            return "its statistics are not finite"
    return None


def load(
    run: str | os.PathLike[str], checkpoint: str = "best", folder: Path | None = None, device: str = "cpu"
) -> Classifier:
    """What `gan recognize fit` has learned with the discriminator of a run, or of a checkpoint and into a folder.

    Raises:
        UserError: as `read` and `gan.inference.loading.load_discriminator`.
    """
    discriminator, *_ = load_discriminator(run, checkpoint)
    return read(folder or Path(run) / RECOGNITION, discriminator.to(device))
