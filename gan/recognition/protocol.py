"""How well features tell classes, measured side by side: the same splits, constants and numbers of components for all.

A number alone says nothing: colors give many classes away. So the table has what costs nothing beside the
discriminator: pixels, colors, patches, the same network before it learned, and a network that has seen ImageNet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.recognition.features import Features
from gan.recognition.probe import COMPONENTS, accuracy, balanced_accuracy, chosen, confusion, fit, reduction

FOLDS = 5
SHARES = (0.01, 0.1, 1.0)  # of the labels that are learned from, and that the constant is chosen by

Builder = Callable[[Tensor], Features]  # of the images uint8 (N, C, H, W) that it may look at, without labels


class Contender(NamedTuple):
    """Features to be measured, and whether each of them is brought to deviation 1, see `reduction`."""

    build: Builder
    scaled: bool = True


class Split(NamedTuple):
    """Rows to fit to, to choose the constant on, and to be right on."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Score(NamedTuple):
    """Of one set of features.

    Attributes:
        accuracy: of each split.
        balanced: the same, the mean over classes.
        few: accuracy of each split, (splits, shares), where a share of the labels is learned from.
        table: (classes, classes), of all splits together; rows are what images show.
        constants: chosen in each split.
    """

    accuracy: list[float]
    balanced: list[float]
    few: list[list[float]]
    table: Tensor
    constants: list[float]

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"table": self.table.tolist()}

    @staticmethod
    def of_json(values: dict[str, Any]) -> Score:
        return Score(**(values | {"table": torch.tensor(values["table"])}))

    @staticmethod
    def fits(splits: int, classes: int, values: Any) -> bool:
        """Whether values from a file are those of `as_json`, of so many splits and classes."""
        try:
            score = Score.of_json(values)
            numbers = (torch.tensor(row, dtype=torch.float64) for row in (*score[:3], score.constants))
            shapes = [tuple(found.shape) for found in numbers]
            whole = score.table.shape == (classes, classes) and score.table.dtype == torch.int64
        except (TypeError, ValueError, KeyError, RuntimeError, OverflowError):
            return False
        return whole and shapes == [(splits,), (splits,), (splits, len(SHARES)), (splits,)]


def splits(labels: Tensor, groups: Sequence[bytes], folds: int = FOLDS, seed: int = 0) -> list[Split]:
    """As many as there are folds, each of them once to be right on, and of the others one to choose on.

    Each class is in all folds, and what belongs to one group is in one, but for the images of `scattered` classes.

    Raises:
        UserError: a class has fewer images than there are folds.
    """
    counts = labels.bincount()
    if (least := int(counts[counts > 0].min())) < folds:
        raise UserError(f"each class needs at least {folds} images; one has {least}")
    alone = torch.isin(labels, torch.tensor(scattered(labels, groups, folds), dtype=torch.long))
    keys = [(group, n if own else -1) for n, (group, own) in enumerate(zip(groups, alone.tolist(), strict=True))]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    parts = _parts(labels.numpy(), np.array([numbers[key] for key in keys]), folds, seed)
    made = []
    for n, test in enumerate(parts):
        validation = parts[(n + 1) % folds]
        train = np.setdiff1d(np.arange(len(labels)), np.concatenate([test, validation]))
        made.append(Split(*(torch.from_numpy(rows) for rows in (train, validation, test))))
    return made


def fewest(labels: Tensor, parts: Sequence[Split]) -> int:
    """The fewest images that a class has in a test."""
    counts = torch.stack([labels[part.test].bincount(minlength=int(labels.max()) + 1) for part in parts])
    return int(counts[:, labels.unique()].min())


def scattered(labels: Tensor, groups: Sequence[bytes], folds: int = FOLDS) -> list[int]:
    """The classes that lie in fewer groups than there are folds: only cut up can they be in each."""
    found: dict[int, set[bytes]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        found.setdefault(label, set()).add(group)
    return sorted(label for label, own in found.items() if len(own) < folds)


def _parts(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = groups.max() + 1 == len(groups)
    kind: Any = StratifiedKFold if alone else StratifiedGroupKFold
    cut = kind(folds, shuffle=True, random_state=seed)
    return [test for _, test in cut.split(np.zeros((len(labels), 1)), labels, None if alone else groups)]


def few(rows: Tensor, labels: Tensor, share: float, seed: int = 0) -> Tensor:
    """A share of the rows of each class, at least one."""
    rng = np.random.default_rng(seed)
    kept = []
    for label in labels[rows].unique():
        own = rows[labels[rows] == label].numpy()
        kept.append(rng.choice(own, max(1, round(share * len(own))), replace=False))
    return torch.from_numpy(np.sort(np.concatenate(kept)))


def measure(
    contender: Contender,
    images: Tensor,
    labels: Tensor,
    classes: int,
    parts: Sequence[Split],
    kind: str = "logistic",
    components: int = COMPONENTS,
) -> Score:
    """How well the features of images uint8 (N, C, H, W) tell their labels (N,)."""
    accuracies, balanced, fews, constants = [], [], [], []
    table = torch.zeros(classes, classes, dtype=torch.long)
    for n, (train, validation, test) in enumerate(parts):
        features = contender.build(images[train])(images)
        reduced = reduction(features[train], components, contender.scaled)(features)
        of_shares = []
        for share in SHARES:
            rows, judges = (part if share == 1 else few(part, labels, share, n) for part in (train, validation))
            constant = chosen(reduced, labels, rows, judges, classes, kind)
            logits = fit(reduced[rows], labels[rows], classes, constant, kind)(reduced[test])
            of_shares.append(accuracy(logits, labels[test]))
        found = confusion(logits.argmax(1), labels[test], classes)
        accuracies.append(of_shares[-1])
        balanced.append(balanced_accuracy(found))
        fews.append(of_shares)
        constants.append(constant)
        table += found
    return Score(accuracies, balanced, fews, table, constants)


def majority(labels: Tensor, classes: int, parts: Sequence[Split]) -> Score:
    """Always the most frequent class."""
    accuracies, balanced = [], []
    table = torch.zeros(classes, classes, dtype=torch.long)
    for train, _, test in parts:
        most = labels[train].bincount(minlength=classes).argmax()
        found = confusion(most.expand(len(test)), labels[test], classes)
        accuracies.append(float(found.diagonal().sum() / found.sum()))
        balanced.append(balanced_accuracy(found))
        table += found
    return Score(accuracies, balanced, [[a] * len(SHARES) for a in accuracies], table, [])


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean of what `splits` gave, one number each, and its standard error.

    Splits learn from much the same images, so their numbers agree better than those of independent ones would: Nadeau
    and Bengio, "Inference for the Generalization Error", 2003, section 3, add the ratio of test to training images.
    """
    folds = len(values)
    if folds < 3:
        return float(np.mean(values)), 0.0
    return float(np.mean(values)), float(np.std(values, ddof=1) * np.sqrt(1 / folds + 1 / (folds - 2)))
