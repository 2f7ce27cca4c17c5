"""A linear classifier of features, whose constant is chosen on images that it is not fitted to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError

CONSTANTS = (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C: the less, the smaller the weights are held
COMPONENTS = 256  # that features are reduced to
KINDS = ("logistic", "svm")
SMALL = 1e-6


class Reduction(NamedTuple):
    """Features (N, D) -> (N, K): each brought to mean 0, and to deviation 1 where they are `scaled`; then their
    principal components, brought to deviation 1 all together."""

    mean: Tensor
    matrix: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.mean) @ self.matrix


def reduction(features: Tensor, components: int = COMPONENTS, scaled: bool = True) -> Reduction:
    """Of the features (N, D) of images to fit to.

    Args:
        scaled: not where all have one unit: of the shares of colors those of a few images would count most.
    """
    mean, deviation = features.mean(0), features.std(0)
    scale = torch.where(deviation > SMALL, 1 / deviation.clamp(min=SMALL), 0) if scaled else torch.ones_like(mean)
    centered = (features - mean) * scale
    count = min(components, *centered.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, values, vectors = torch.svd_lowrank(centered, min(count + 10, *centered.shape), niter=4)
    size = values[:count].square().sum().div(len(features) * count).sqrt().clamp(min=SMALL)
    return Reduction(mean, scale[:, None] * vectors[:, :count] / size)


class Probe(NamedTuple):
    """logits = features @ weight + bias, of the classes that `labels` names."""

    weight: Tensor  # (D, classes)
    bias: Tensor
    constant: float

    def __call__(self, features: Tensor) -> Tensor:
        """(N, classes)."""
        return features @ self.weight + self.bias


def fit(features: Tensor, labels: Tensor, classes: int, constant: float, kind: str = "logistic") -> Probe:
    """Fit to reduced features (N, K) and labels (N,); a class that is not among them is never the answer.

    Raises:
        UserError: fewer than two classes are among them.
    """
    x, y = features.numpy(), labels.numpy()
    there = np.unique(y)
    if len(there) < 2:
        raise UserError("to learn to tell classes, images of at least two are needed")
    model = classifier(kind, constant)
    model.fit(x, y)
    rows, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if len(there) == 2:  # scikit-learn then has one row, of the second class against the first
        rows, bias = torch.cat([-rows, rows]) / 2, torch.cat([-bias, bias]) / 2
    weight, shift = torch.zeros(classes, x.shape[1]), torch.full((classes,), -torch.inf)
    weight[there], shift[there] = rows, bias
    return Probe(weight.T.contiguous(), shift, constant)


def classifier(kind: str, constant: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    if kind == "logistic":
        return LogisticRegression(C=constant, max_iter=300, tol=1e-3)
    return LinearSVC(C=constant, random_state=0, max_iter=3000, tol=1e-3)


def chosen(features: Tensor, labels: Tensor, train: Tensor, validation: Tensor, classes: int, kind: str) -> float:
    """The constant whose classifier, fitted to rows `train`, is right most often on rows `validation`; the smallest of
    equals."""
    rights = [
        accuracy(fit(features[train], labels[train], classes, constant, kind)(features[validation]), labels[validation])
        for constant in CONSTANTS
    ]
    return CONSTANTS[int(np.argmax(rights))]


def accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(classes, classes): how many images of each class, a row, were taken for each, a column."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)


def balanced_accuracy(table: Tensor) -> float:
    """The mean, over classes that there are images of, of the share of each that is right."""
    there = table.sum(1) > 0
    return float((table.diagonal()[there] / table.sum(1)[there]).mean())
