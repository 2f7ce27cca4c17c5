"""Measure how well features classify images, with the same splits, candidates for C and number of components for all.

An accuracy is meaningful only in comparison, because many classes can be predicted from colors. Therefore the table
also has baselines: pixels and the untrained discriminator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from gan.data.split import group_keys
from gan.models import loading
from gan.recognition.classifier import (
    COMPONENTS,
    LayerFeatures,
    balanced_accuracy,
    confusion_matrix,
    fit,
    fit_reduction,
    select_C,
)
from gan.utils.errors import UserError
from gan.utils.files import write_atomically
from gan.utils.output import first_few, one_line

FOLDS = 5
MAX_LISTED = 10  # classes in a message
DISCRIMINATOR, MAJORITY = "discriminator", "most frequent class"  # names in the table

Features = Callable[[Tensor], Tensor]  # images uint8 (N, C, H, W) -> float32 (N, D), each image by itself
Builder = Callable[[Tensor], Features]  # unlabeled training images uint8 (N, C, H, W) -> features


def labeled_data(config: dict[str, Any], checkpoint: Path, folder: str | None, labels: str | None) -> Any:
    """Return a DataModule of labeled images. It holds out no images.

    Args:
        folder: folder with a sub-folder of images per class; None loads the images of the run.
        labels: CSV or JSON file of files and labels, instead of sub-folders.
    """
    options = dict(config["data"])
    if options.get("fit") in ("random_crop", "patches"):
        options["fit"] = "crop"  # whole images, as in prediction
    if folder is not None:
        return loading.load_folder(folder, options, labels=labels or True)
    if str(options.get("_target_")).startswith("gan.data.stream."):
        raise UserError("shards have no names of files to divide by; give FOLDER, with a sub-folder per class")
    options |= {"split": None, "labels": labels or options.get("labels") or True}
    return loading.load_data({"data": options}, checkpoint)


def images_and_groups(data: Any, split: str) -> tuple[Tensor, Tensor, list[bytes]]:
    """Return images uint8 (N, C, H, W), labels (N,), and the group of each image by which `split` divides them."""
    pixels = data.pixels[data.rows]
    groups = list(group_keys(split, data.names, pixels))
    return torch.as_tensor(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(data.labels[data.rows]), groups


def large_classes(
    labels: Tensor, classes: Sequence[str], least: int
) -> tuple[Tensor, Tensor, list[str], dict[str, int]]:
    """Leave out classes with fewer than `least` images.

    Returns:
        The rows to keep (K,), their labels (K,), the names of the classes that are left, and the number of images of
        each class that was left out.
    """
    counts = dict(zip(classes, labels.bincount(minlength=len(classes)).tolist(), strict=True))
    small = {name: count for name, count in counts.items() if count < least}
    kept = [label for label, name in enumerate(classes) if name not in small]
    if len(kept) < 2:
        raise UserError(
            f"fewer than two classes have at least {least} images, one for each of --folds: {list_classes(counts)}; "
            "add images, or lower --folds"
        )
    rows = torch.isin(labels, torch.tensor(kept)).nonzero().flatten()
    return rows, torch.searchsorted(torch.tensor(kept), labels[rows]), [classes[label] for label in kept], small


def list_classes(counts: dict[str, int]) -> str:
    """Return classes and their numbers of images as text; a long list ends with the number of omitted classes."""
    return first_few([f"{one_line(name)} {count}" for name, count in counts.items()], MAX_LISTED)


class Baseline(NamedTuple):
    """Features to measure."""

    build: Builder  # given training images without their labels
    scaled: bool = True  # as in `fit_reduction`


class Split(NamedTuple):
    """Row indices for fitting, for selecting C, and for testing."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Score(NamedTuple):
    """The results of one set of features."""

    accuracy: list[float]  # in each split
    balanced: list[float]  # balanced accuracy in each split
    confusion: Tensor  # (classes, classes), summed over all splits; rows are true classes
    C: list[float]  # selected in each split

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"confusion": self.confusion.tolist()}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Score:
        return Score(**(values | {"confusion": torch.tensor(values["confusion"])}))


def baselines(network: Any, untrained: Any, only_discriminator: bool) -> dict[str, Baseline]:
    """Return the features of a discriminator and of its baselines, by their names in the table."""
    trained = {DISCRIMINATOR: Baseline(lambda images: LayerFeatures(network, images))}
    if only_discriminator:
        return trained
    return trained | {
        "untrained network": Baseline(lambda images: LayerFeatures(untrained, images)),
        "pixels": Baseline(lambda images: lambda pixels: pixels.flatten(1).float() / 255, scaled=False),
    }


def splits(labels: Tensor, groups: Sequence[bytes], folds: int = FOLDS, seed: int = 0) -> list[Split]:
    """Return one split per fold: the fold is the test set, the next fold the validation set.

    Each fold has images of all classes, which need at least as many images as folds. A group is in one fold only,
    except in `ungroupable` classes.
    """
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
    groups_of: dict[int, set[bytes]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        groups_of.setdefault(label, set()).add(group)
    return sorted(label for label, different in groups_of.items() if len(different) < folds)


def _folds(labels: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
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
        kind: classifier, one of `gan.recognition.classifier.CLASSIFIERS`.
        advance: called after each split, with 1.
    """
    predictions, selected = [], []
    for train, validation, test in parts:
        features = baseline.build(images[train])(images)
        reduced = fit_reduction(features[train], components, baseline.scaled)(features)
        C = select_C(reduced, labels, train, validation, classes, kind)
        probe = fit(reduced[train], labels[train], classes, C, kind)
        predictions.append((probe(reduced[test]).argmax(1), labels[test]))
        selected.append(C)
        advance(1)
    return score_of(predictions, classes)._replace(C=selected)


def majority(labels: Tensor, classes: int, parts: Sequence[Split]) -> Score:
    """Return the score of always predicting the most frequent class."""
    predicted = (labels[part.train].bincount(minlength=classes).argmax().expand(len(part.test)) for part in parts)
    return score_of(zip(predicted, (labels[part.test] for part in parts), strict=True), classes)


def score_of(predictions: Iterable[tuple[Tensor, Tensor]], classes: int) -> Score:
    """Return the score of the predicted and the true labels (N,) of each split."""
    confusions = [confusion_matrix(predicted, labels, classes) for predicted, labels in predictions]
    accuracies = [float(confusion.diagonal().sum() / confusion.sum()) for confusion in confusions]
    return Score(accuracies, list(map(balanced_accuracy, confusions)), sum(confusions, torch.tensor(0)), [])


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


def plot_confusion(confusion: Tensor, classes: list[str], path: Path) -> None:
    """Write a PNG of a confusion matrix (classes, classes), with each row divided by its sum."""
    side = max(4.0, 0.4 * len(classes) + 2)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    fractions = confusion / confusion.sum(1, keepdim=True).clamp(min=1)
    axes.imshow(fractions.numpy(), vmin=0, vmax=1, cmap="Blues")
    ticks = range(len(classes))
    names = [name[:20] for name in classes]
    axes.set_xticks(ticks, names, rotation=90, parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(classes) <= 20:
        for row, column in ((row, column) for row in ticks for column in ticks):
            value = float(fractions[row, column])
            color = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=color)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # characters that the font lacks
        write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=100))
