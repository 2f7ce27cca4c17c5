"""A classifier of a run: the layers of its discriminator and a linear map, saved as numbers and never as code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save
from torch import Tensor

from gan.errors import UserError
from gan.latent.store import fingerprint
from gan.recognition.features import Layers
from gan.recognition.probe import Probe, Reduction
from gan.runs import write_atomically

WEIGHTS, ABOUT = "classifier.safetensors", "classifier.json"


class Classifier(NamedTuple):
    """Images uint8 (N, C, H, W) -> probabilities (N, classes)."""

    layers: Layers
    probe: Probe
    classes: list[str]

    def __call__(self, images: Tensor) -> Tensor:
        return self.probe(self.layers(images)).softmax(1)


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
    said = {"classes": classifier.classes, "discriminator": fingerprint(network), **about}
    encoded = save(tensors)
    write_atomically(folder / WEIGHTS, lambda file: file.write(encoded))
    text = json.dumps(said, indent=1)
    write_atomically(folder / ABOUT, lambda file: file.write(text.encode()))


def read(folder: Path, discriminator: Any) -> Classifier:
    """What `write` has written.

    Raises:
        UserError: there is none, it is damaged, or it is of another discriminator.
    """
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        tensors = load_safetensors((folder / WEIGHTS).read_bytes())
        classes, of = list(about["classes"]), about["discriminator"]
        probe = Probe(tensors.pop("weight"), tensors.pop("bias"), 0.0)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: holds no classifier; gan recognise fit makes one") from error
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UserError(f"{folder}: its classifier cannot be read ({error})") from error
    if of != fingerprint(discriminator):
        raise UserError(f"{folder}: its classifier is of another run or checkpoint; gan recognise fit makes one anew")
    with torch.no_grad():
        for name, value in discriminator.named_buffers():
            value.copy_(tensors[f"statistics.{name}"])
    return Classifier(Layers(discriminator), probe, classes)
