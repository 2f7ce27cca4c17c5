"""Measure how well features classify images, with the same splits, candidates for C and number of components for all.

An accuracy is meaningful only in comparison, because many classes can be predicted from colors. Therefore the table
also has baselines: pixels and the untrained discriminator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.recognition.features import Features, LayerFeatures, raw_pixels
from gan.recognition.probe import (
    COMPONENTS,
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    fit,
    fit_reduction,
    select_C,
)

FOLDS = 5
DISCRIMINATOR, MAJORITY = "discriminator", "most frequent class"  # names in the table

Builder = Callable[[Tensor], Features]  # unlabeled training images uint8 (N, C, H, W) -> features


class Baseline(NamedTuple):
    """Features to measure.

    Attributes:
        build: returns the features, given training images without their labels.
        scaled: as in `fit_reduction`.
    """

    build: Builder
    scaled: bool = True


class Split(NamedTuple):
    """Row indices for fitting, for selecting C, and for testing."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Score(NamedTuple):
    """The results of one set of features.

    Attributes:
        accuracy: accuracy in each split.
        balanced: balanced accuracy in each split.
        confusion: (classes, classes), confusion matrix summed over all splits; rows are true classes.
        C: value selected in each split.
    """

    accuracy: list[float]
    balanced: list[float]
    confusion: Tensor
    C: list[float]

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"confusion": self.confusion.tolist()}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Score:
        return Score(**(values | {"confusion": torch.tensor(values["confusion"])}))


def baselines(network: Any, untrained: Any, only_discriminator: bool) -> dict[str, Baseline]:
    """Return the features of a discriminator and of its baselines, by their names in the table.

    Args:
        network: trained discriminator.
        untrained: the same network with its initial weights.
        only_discriminator: omit the baselines.
    """
    own = {DISCRIMINATOR: Baseline(lambda images: LayerFeatures(network, images))}
    if only_discriminator:
        return own
    return own | {
        "untrained network": Baseline(lambda images: LayerFeatures(untrained, images)),
        "pixels": Baseline(lambda images: raw_pixels, scaled=False),
    }


def splits(labels: Tensor, groups: Sequence[bytes], folds: int = FOLDS, seed: int = 0) -> list[Split]:
    """Return one split per fold: the fold is the test set, the next fold the validation set.

    Each fold has images of all classes. A group is in one fold only, except in `ungroupable` classes.

    Raises:
        UserError: a class has fewer images than folds.
    """
    counts = labels.bincount()
    if (least := int(counts[counts > 0].min())) < folds:
        raise UserError(f"each class needs at least {folds} images; one has {least}")
    alone = torch.isin(labels, torch.tensor(ungroupable(labels, groups, folds), dtype=torch.long))
    keys = [(group, n if own else -1) for n, (group, own) in enumerate(zip(groups, alone.tolist(), strict=True))]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    parts = _folds(labels.numpy(), np.array([numbers[key] for key in keys]), folds, seed)
    made = []
    for n, test in enumerate(parts):
        validation = parts[(n + 1) % folds]
        train = np.setdiff1d(np.arange(len(labels)), np.concatenate([test, validation]))
        made.append(Split(*(torch.from_numpy(rows) for rows in (train, validation, test))))
    return made


def smallest_test_class(labels: Tensor, parts: Sequence[Split]) -> int:
    """Return the number of images of the smallest class of any test set."""
    counts = torch.stack([labels[part.test].bincount(minlength=int(labels.max()) + 1) for part in parts])
    return int(counts[:, labels.unique()].min())


def ungroupable(labels: Tensor, groups: Sequence[bytes], folds: int = FOLDS) -> list[int]:
    """Return the classes that have fewer groups than folds. Their groups are divided, so that each fold has images."""
    found: dict[int, set[bytes]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        found.setdefault(label, set()).add(group)
    return sorted(label for label, own in found.items() if len(own) < folds)


def _folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = groups.max() + 1 == len(groups)
    splitter: Any = (StratifiedKFold if alone else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    return [test for _, test in splitter.split(np.zeros((len(labels), 1)), labels, None if alone else groups)]


def measure(
    baseline: Baseline,
    images: Tensor,
    labels: Tensor,
    classes: int,
    parts: Sequence[Split],
    kind: str = "logistic",
    components: int = COMPONENTS,
    advance: Callable[[int], None] = lambda done: None,
) -> Score:
    """Return how well a classifier of features predicts the labels (N,) of images uint8 (N, C, H, W).

    Args:
        parts: the result of `splits`.
        kind: classifier, one of `gan.recognition.probe.CLASSIFIERS`.
        advance: called after each split, with 1.
    """
    accuracies, balanced, selected = [], [], []
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    for train, validation, test in parts:
        features = baseline.build(images[train])(images)
        reduced = fit_reduction(features[train], components, baseline.scaled)(features)
        C = select_C(reduced, labels, train, validation, classes, kind)
        logits = fit(reduced[train], labels[train], classes, C, kind)(reduced[test])
        found = confusion_matrix(logits.argmax(1), labels[test], classes)
        accuracies.append(accuracy(logits, labels[test]))
        balanced.append(balanced_accuracy(found))
        selected.append(C)
        confusion += found
        advance(1)
    return Score(accuracies, balanced, confusion, selected)


def majority(labels: Tensor, classes: int, parts: Sequence[Split]) -> Score:
    """Return the score of always predicting the most frequent class."""
    accuracies, balanced = [], []
    confusion = torch.zeros(classes, classes, dtype=torch.long)
    for train, _, test in parts:
        most = labels[train].bincount(minlength=classes).argmax()
        found = confusion_matrix(most.expand(len(test)), labels[test], classes)
        accuracies.append(float(found.diagonal().sum() / found.sum()))
        balanced.append(balanced_accuracy(found))
        confusion += found
    return Score(accuracies, balanced, confusion, [])


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over splits and its standard error.

    The training sets of splits overlap, so their results vary less than independent results. Nadeau and Bengio,
    "Inference for the Generalization Error", 2003, section 3, correct the variance by the ratio of test to training
    images.
    """
    folds = len(values)
    if folds < 3:
        return float(np.mean(values)), 0.0
    return float(np.mean(values)), float(np.std(values, ddof=1) * np.sqrt(1 / folds + 1 / (folds - 2)))
