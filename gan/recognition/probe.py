"""A linear classifier of features (linear probe), with C selected on validation images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

CS = (1e-5, 1e-4, 3e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse regularization strengths, as C of scikit-learn
COMPONENTS = 256  # default number of principal components
CLASSIFIERS = ("logistic", "svm")
EPSILON = 1e-6


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
    """Return one linear map equal to the reduction followed by the probe."""
    weight = reduction.matrix @ probe.weight
    return Probe(weight, probe.bias - reduction.mean @ weight, probe.C)


def fit(features: Tensor, labels: Tensor, classes: int, C: float, kind: str = "logistic") -> Probe:
    """Return a probe fitted to reduced features (N, K) and labels (N,). It never predicts a class that has no images.

    Args:
        kind: one of CLASSIFIERS.
    """
    x, y = features.numpy(), labels.numpy()
    present = np.unique(y)
    model = estimator(kind, C)
    model.fit(x, y)
    rows, bias = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
    if len(present) == 2:  # scikit-learn then returns one row: the second class against the first
        rows, bias = torch.cat([-rows, rows]) / 2, torch.cat([-bias, bias]) / 2
    weight, shift = torch.zeros(classes, x.shape[1]), torch.full((classes,), -torch.inf)
    weight[present], shift[present] = rows, bias
    return Probe(weight.T.contiguous(), shift, C)


def estimator(kind: str, C: float) -> Any:
    """Return an unfitted scikit-learn estimator; `kind` is one of CLASSIFIERS."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    if kind == "logistic":
        return LogisticRegression(C=C, max_iter=300, tol=1e-3)
    return LinearSVC(C=C, random_state=0, max_iter=3000, tol=1e-3)


def select_C(features: Tensor, labels: Tensor, train: Tensor, validation: Tensor, classes: int, kind: str) -> float:
    """Return the C with the best accuracy on rows `validation` after fitting to rows `train`; the smallest if tied."""
    probes = [fit(features[train], labels[train], classes, C, kind) for C in CS]
    correct = [int((probe(features[validation]).argmax(1) == labels[validation]).sum()) for probe in probes]
    return CS[int(np.argmax(correct))]


def confusion_matrix(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return the numbers of images (classes, classes) by true class (rows) and predicted class (columns)."""
    return torch.bincount(labels * classes + predicted, minlength=classes**2).view(classes, classes)


def balanced_accuracy(confusion: Tensor) -> float:
    """Return the mean recall over the classes that have images."""
    present = confusion.sum(1) > 0
    return float((confusion.diagonal()[present] / confusion.sum(1)[present]).mean())
