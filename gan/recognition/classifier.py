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

from gan.errors import UserError
from gan.latent.attributes import Attribute
from gan.latent.store import fingerprint
from gan.model_io import load_discriminator
from gan.recognition.features import Layers
from gan.recognition.probe import Probe, Reduction
from gan.runs import RECOGNITION, write_atomically

WEIGHTS, ABOUT = "classifier.safetensors", "classifier.json"


class Classifier(NamedTuple):
    """Images uint8 (N, C, H, W) -> (N, classes) that sum to 1: the more the likelier, and of kind "logistic"
    probabilities, which of kind "svm" they are not."""

    layers: Layers
    probe: Probe
    classes: list[str]
    kind: str

    def __call__(self, images: Tensor) -> Tensor:
        return self.probe(self.layers(images)).softmax(1)

    def attributes(self) -> dict[str, Attribute]:
        """Of each class that was learnt, by its name, how much likelier than all others it is (`odds`)."""
        there = [(n, name) for n, name in enumerate(self.classes) if self.probe.bias[n].isfinite()]
        return {name: partial(self.odds, n) for n, name in there}

    def odds(self, n: int, pictures: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1] -> (N,), differentiable: of kind "logistic" the logarithm of the odds of
        class n."""
        weight, bias = self.probe.weight, self.probe.bias
        logits = self.layers.pooled(pictures.to(self.layers.device)).to(weight) @ weight + bias
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
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        tensors = load_safetensors((folder / WEIGHTS).read_bytes())
        classes, kind, of = list(about["classes"]), about["classifier"], about["discriminator"]
        probe = Probe(tensors["weight"], tensors["bias"], 0.0)
        statistics = [(value, tensors[f"statistics.{name}"]) for name, value in discriminator.named_buffers()]
    except FileNotFoundError as error:
        raise UserError(f"{folder}: holds no classifier; gan recognise fit makes one") from error
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: its classifier cannot be read ({error})") from error
    if of != fingerprint(discriminator):
        raise UserError(f"{folder}: its classifier is of another run or checkpoint; gan recognise fit makes one anew")
    with torch.no_grad():
        for value, kept in statistics:
            value.copy_(kept)
    return Classifier(Layers(discriminator), probe, classes, kind)


def load(
    run: str | os.PathLike[str], checkpoint: str = "best", folder: Path | None = None, device: str = "cpu"
) -> Classifier:
    """What `gan recognise fit` has learnt with the discriminator of a run, or of a checkpoint and into a folder.

    Raises:
        UserError: as `read` and `gan.model_io.load_discriminator`.
    """
    discriminator, *_ = load_discriminator(run, checkpoint)
    return read(folder or Path(run) / RECOGNITION, discriminator.to(device))
