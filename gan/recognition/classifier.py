"""A classifier of images: features of a run's discriminator and a linear map. Loading it runs no code from its files.

The files contain the linear map, BatchNorm's statistics and a digest of the discriminator. The other weights stay in
the checkpoint.
"""

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
from gan.common.untrusted import check_header, parse_json
from gan.inference.loading import load_discriminator
from gan.latent.attributes import Attribute
from gan.latent.store import fingerprint
from gan.recognition.features import LayerFeatures
from gan.recognition.probe import CLASSIFIERS, Probe, Reduction
from gan.run.checkpoint_file import are_classes
from gan.run.run_folder import RECOGNITION

WEIGHTS, ABOUT = "classifier.safetensors", "classifier.json"
MAX_ABOUT = 64_000_000  # maximum size of the file ABOUT in bytes


class Classifier(NamedTuple):
    """Maps images uint8 (N, C, H, W) to probabilities (N, classes).

    For kind "svm" the rows also sum to 1, but are not calibrated probabilities.
    """

    layers: LayerFeatures
    probe: Probe
    classes: list[str]
    kind: str

    def __call__(self, images: Tensor) -> Tensor:
        return self.probe(self.checked(self.layers(images))).softmax(1)

    def checked(self, features: Tensor) -> Tensor:
        """Return the features unchanged; raise UserError if their number is not that of the linear map's inputs."""
        if features.shape[1] != len(self.probe.weight):
            counts = f"{len(self.probe.weight):,} features, but the discriminator has {features.shape[1]:,}"
            raise UserError(f"the classifier needs {counts}; fit it again with gan recognize fit")
        return features

    def attributes(self) -> dict[str, Attribute]:
        """Return the `log_odds` of each class that had training images, by name."""
        trained = [(n, name) for n, name in enumerate(self.classes) if self.probe.bias[n].isfinite()]
        return {name: partial(self.log_odds, n) for n, name in trained}

    def log_odds(self, n: int, images: Tensor) -> Tensor:
        """Return the log-odds (N,) of class n for images (N, C, H, W) in [-1, 1]. They are differentiable."""
        weight, bias = self.probe.weight, self.probe.bias
        logits = self.checked(self.layers.pooled(images.to(self.layers.device)).to(weight)) @ weight + bias
        others = logits[:, torch.arange(len(bias)) != n].logsumexp(1)
        return (logits[:, n] - others).to(images)


def compose(reduction: Reduction, probe: Probe) -> Probe:
    """Return one linear map equal to the reduction followed by the probe."""
    weight = reduction.matrix @ probe.weight
    return Probe(weight, probe.bias - reduction.mean @ weight, probe.C)


def write(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    """Write the files WEIGHTS and ABOUT. `about` has further information to write into ABOUT.

    Raises:
        OSError: the files cannot be written.
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
    """Read a classifier written by `write`.

    Raises:
        UserError: the folder contains no classifier, it is damaged, or it belongs to another discriminator.
    """
    if not all((folder / name).is_file() for name in (ABOUT, WEIGHTS)):
        raise UserError(f"{folder}: contains no classifier; fit one with gan recognize fit")
    broken = f"{folder}: its classifier cannot be read"
    try:
        if (size := (folder / ABOUT).stat().st_size) > MAX_ABOUT:
            raise UserError(f"{broken} ({ABOUT} has {size:,} bytes)")
        about = parse_json((folder / ABOUT).read_bytes())
        check_header(folder / WEIGHTS)
        tensors = load_safetensors((folder / WEIGHTS).read_bytes())
        classes, kind, of = about["classes"], about["classifier"], about["discriminator"]
        probe = Probe(tensors["weight"], tensors["bias"], 0.0)
        statistics = [(value, tensors[f"statistics.{name}"]) for name, value in discriminator.named_buffers()]
    except (OSError, ValueError, TypeError, KeyError, SafetensorError) as error:
        raise UserError(f"{broken} ({error})") from error
    if not isinstance(classes, list) or not are_classes(classes) or kind not in CLASSIFIERS:
        raise UserError(f"{broken} (its classes are not names, or its kind is not one of {', '.join(CLASSIFIERS)})")
    if reason := invalid_probe(probe, len(classes)) or invalid_statistics(statistics):
        raise UserError(f"{broken} ({reason})")
    if of != fingerprint(discriminator):
        raise UserError(
            f"{folder}: its classifier belongs to another run or checkpoint; fit one with gan recognize fit"
        )
    with torch.no_grad():
        for value, kept in statistics:
            value.copy_(kept)
    return Classifier(LayerFeatures(discriminator), probe, classes, kind)


def invalid_probe(probe: Probe, classes: int) -> str | None:
    """Return why a probe is invalid for this number of classes, or None.

    Classes without training images have a bias of -inf.
    """
    weight, bias = probe.weight, probe.bias
    if weight.dtype != torch.float32 or bias.dtype != torch.float32 or weight.ndim != 2 or bias.ndim != 1:
        return f"weight {weight.dtype} {tuple(weight.shape)}, bias {bias.dtype} {tuple(bias.shape)}"
    if weight.shape[1] != classes or len(bias) != classes or classes < 2:
        return f"it has {classes} class names, but weights for {weight.shape[1]} and biases for {len(bias)} classes"
    if not bool(weight.isfinite().all()) or bool((bias.isnan() | bias.isposinf()).any()) or bias.isfinite().sum() < 2:
        return "a weight or bias is not finite"
    return None


def invalid_statistics(statistics: list[tuple[Tensor, Tensor]]) -> str | None:
    """Return why BatchNorm statistics cannot be copied to the discriminator's buffers, or None.

    Args:
        statistics: pairs of a buffer and the value to copy to it.
    """
    for value, kept in statistics:
        if kept.shape != value.shape or kept.dtype != value.dtype:
            return (
                f"a saved buffer has {kept.dtype} {tuple(kept.shape)}, but the discriminator needs {value.dtype} "
                f"{tuple(value.shape)}"
            )
        if kept.is_floating_point() and not bool(kept.isfinite().all()):
            return "a saved buffer is not finite"
    return None


def load(
    run: str | os.PathLike[str], checkpoint: str = "best", folder: Path | None = None, device: str = "cpu"
) -> Classifier:
    """Return the classifier that `gan recognize fit` has written for a run.

    Args:
        folder: folder of the classifier; the default is `RECOGNITION` in the run folder.

    Raises:
        UserError: as `read` and `gan.inference.loading.load_discriminator`.
    """
    discriminator, *_ = load_discriminator(run, checkpoint)
    return read(folder or Path(run) / RECOGNITION, discriminator.to(device))
