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

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from gan.editing.attributes import Attribute
from gan.editing.vector_files import fingerprint
from gan.images.convert import to_float
from gan.models.loading import load_discriminator
from gan.models.sampling import fresh_statistics, in_chunks
from gan.runs.checkpoint_file import are_classes
from gan.runs.run_folder import RECOGNITION
from gan.utils.errors import UserError
from gan.utils.files import write_bytes
from gan.utils.untrusted import read_json, read_tensors

WEIGHTS, ABOUT = "classifier.safetensors", "classifier.json"
MAX_ABOUT = 64_000_000  # maximum size of the file ABOUT in bytes
POOLED_SIDE = 4  # rows and columns of the grid to which each layer is pooled
BATCH = 64  # images per pass when BatchNorm's statistics are estimated
CS = (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse regularization strengths, as C of scikit-learn
COMPONENTS = 256  # default number of principal components
EPSILON = 1e-6


class LayerFeatures:
    """The concatenated features of all layers of a discriminator, each max-pooled to a 4x4 grid.

    Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial
    Networks", 2015, arXiv:1511.06434, section 5.1.

    Args:
        discriminator: network with a method `features(x)` that returns a list of tensors (N, C, H, W).
        images: uint8 (N, C, H, W), on which to re-estimate BatchNorm's statistics, because those of training lag
            behind the weights. None keeps them.
    """

    def __init__(self, discriminator: Any, images: Tensor | None = None) -> None:
        self.network = discriminator.eval()
        if images is not None:
            reestimate(self.network, images)

    @property
    def device(self) -> torch.device:
        parameter: Tensor = next(self.network.parameters())
        return parameter.device

    def __call__(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return in_chunks(lambda x, label: self.pooled(to_float(x)), self.device, images)

    def pooled(self, x: Tensor) -> Tensor:
        layers = self.network.features(x)
        return torch.cat([adaptive_max_pool2d(each, POOLED_SIDE).flatten(1) for each in layers], 1).float()


@torch.no_grad()
def reestimate(network: Any, images: Tensor) -> None:
    """Set BatchNorm's statistics to their averages over the images, and set the network to eval mode."""
    with fresh_statistics(network) as device:
        for part in images.split(BATCH) if device is not None else ():
            if len(part) == BATCH or len(images) < BATCH:  # skip a short last batch: batches have equal weight
                network.features(to_float(part.to(device)))


# ---- the linear map (linear probe), with C selected on validation images


class Reduction(NamedTuple):
    """Maps features (N, D) to their first K principal components (N, K), divided by a common scale."""

    mean: Tensor
    matrix: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.mean) @ self.matrix


def fit_reduction(features: Tensor, components: int = COMPONENTS, scaled: bool = True) -> Reduction:
    """Return a reduction fitted to features (N, D).

    Args:
        scaled: divide each feature by its standard deviation first. It must be False for features with the same unit,
            where those with little variance would dominate.
    """
    mean, std = features.mean(0), features.std(0)
    scale = torch.where(std > EPSILON, 1 / std.clamp(min=EPSILON), 0) if scaled else torch.ones_like(mean)
    centered = (features - mean) * scale
    count = min(components, *centered.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, values, vectors = torch.svd_lowrank(centered, min(count + 10, *centered.shape), niter=4)
    size = values[:count].square().sum().div(len(features) * count).sqrt().clamp(min=EPSILON)
    return Reduction(mean, scale[:, None] * vectors[:, :count] / size)


class Probe(NamedTuple):
    """A linear map: logits = features @ weight + bias."""

    weight: Tensor  # (D, classes)
    bias: Tensor  # (classes,)
    C: float

    def __call__(self, features: Tensor) -> Tensor:
        """Return logits (N, classes)."""
        return features @ self.weight + self.bias


def compose(reduction: Reduction, probe: Probe) -> Probe:
    weight = reduction.matrix @ probe.weight
    return Probe(weight, probe.bias - reduction.mean @ weight, probe.C)


def fit(features: Tensor, labels: Tensor, classes: int, C: float) -> Probe:
    """Return a logistic regression fitted to reduced features (N, K) and labels (N,).

    It never predicts a class that has no images.
    """
    from sklearn.linear_model import LogisticRegression  # an optional extra, which predictions do not need

    x, y = features.numpy(), labels.numpy()
    present = np.unique(y)
    model = LogisticRegression(C=C, max_iter=300, tol=1e-3).fit(x, y)
    rows, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if len(present) == 2:  # scikit-learn then returns one row: the second class against the first
        rows, bias = torch.cat([-rows, rows]) / 2, torch.cat([-bias, bias]) / 2
    weight, shift = torch.zeros(classes, x.shape[1]), torch.full((classes,), -torch.inf)
    weight[present], shift[present] = rows, bias
    return Probe(weight.T.contiguous(), shift, C)


def select_C(features: Tensor, labels: Tensor, train: Tensor, validation: Tensor, classes: int) -> float:
    """Return the C with the best accuracy on rows `validation` after fitting to rows `train`; the smallest if tied."""
    probes = [fit(features[train], labels[train], classes, C) for C in CS]
    correct = [int((probe(features[validation]).argmax(1) == labels[validation]).sum()) for probe in probes]
    return CS[int(np.argmax(correct))]


# ---- both, and their files


class Classifier(NamedTuple):
    """Maps images uint8 (N, C, H, W) to probabilities (N, classes)."""

    layers: LayerFeatures
    probe: Probe
    classes: list[str]

    def __call__(self, images: Tensor) -> Tensor:
        return self.probe(self.layers(images)).softmax(1)

    def attributes(self) -> dict[str, Attribute]:
        """Return the `log_odds` of each class that had training images, by name."""
        trained = [(n, name) for n, name in enumerate(self.classes) if self.probe.bias[n].isfinite()]
        return {name: partial(self.log_odds, n) for n, name in trained}

    def log_odds(self, n: int, images: Tensor) -> Tensor:
        """Return the log-odds (N,) of class n for images (N, C, H, W) in [-1, 1]. They are differentiable."""
        logits = self.probe(self.layers.pooled(images.to(self.layers.device)).to(self.probe.weight))
        others = logits[:, torch.arange(len(self.classes)) != n].logsumexp(1)
        return (logits[:, n] - others).to(images)


def of_images(network: Any, images: Tensor, labels: Tensor, classes: list[str], C: float) -> Classifier:
    """Return a classifier fitted to the features of images uint8 (N, C, H, W) with labels (N,)."""
    layers = LayerFeatures(network, images)
    features = layers(images)
    reduction = fit_reduction(features)
    return Classifier(layers, compose(reduction, fit(reduction(features), labels, len(classes), C)), classes)


def write(folder: Path, classifier: Classifier, about: dict[str, Any]) -> None:
    network = classifier.layers.network
    tensors = {f"statistics.{name}": value.contiguous() for name, value in network.named_buffers()}
    tensors |= {"weight": classifier.probe.weight.contiguous(), "bias": classifier.probe.bias}
    known = {"classes": classifier.classes, "discriminator": fingerprint(network)}
    write_bytes(folder / WEIGHTS, save(tensors))
    write_bytes(folder / ABOUT, json.dumps(known | about, indent=1).encode())


def read_classifier(folder: Path, discriminator: Any) -> Classifier:
    """Read a classifier written by `write`, and set the statistics of its discriminator."""
    if not all((folder / name).is_file() for name in (ABOUT, WEIGHTS)):
        raise UserError(f"{folder}: contains no classifier; fit one with gan recognize fit")
    tensors, _ = read_tensors(folder / WEIGHTS)
    try:
        about = read_json(folder / ABOUT, MAX_ABOUT)
        classes, owner = about["classes"], about["discriminator"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder}: its classifier cannot be read ({ABOUT}: {error})") from error
    if owner != fingerprint(discriminator):
        raise UserError(f"{folder}: belongs to another run or checkpoint; fit a classifier with gan recognize fit")
    buffers = {f"statistics.{name}": value for name, value in discriminator.named_buffers()}
    weight, bias = (tensors.get(name, torch.empty(0)).float() for name in ("weight", "bias"))
    shapes = {name: value.shape for name, value in tensors.items() if name in buffers}
    fits = weight.shape == (len(weight), len(bias)) and shapes == {name: value.shape for name, value in buffers.items()}
    if not fits or not isinstance(classes, list) or len(classes) != len(bias) or not are_classes(classes):
        raise UserError(f"{folder}: its classifier cannot be read (its tensors do not fit its classes or network)")
    with torch.no_grad():
        for name, value in buffers.items():
            value.copy_(tensors[name])
    return Classifier(LayerFeatures(discriminator), Probe(weight, bias, 0.0), classes)


def load(
    run: str | os.PathLike[str], checkpoint: str = "best", folder: Path | None = None, device: str = "cpu"
) -> Classifier:
    """Return the classifier that `gan recognize fit` has written for a run; by default the one in its folder."""
    discriminator, *_ = load_discriminator(run, checkpoint)
    return read_classifier(folder or Path(run) / RECOGNITION, discriminator.to(device))
