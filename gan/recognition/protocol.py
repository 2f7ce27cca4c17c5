"""Measure how well features classify images, with the same splits, candidates for C and number of components for all.

An accuracy is meaningful only in comparison, because many classes can be predicted from colors. Therefore the table
also has baselines: pixels and the untrained discriminator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from gan.data.split import group_keys
from gan.models import loading
from gan.recognition.classifier import LayerFeatures, fit, fit_reduction, select_C
from gan.utils.errors import UserError
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


def refuse_small_classes(labels: Tensor, groups: Sequence[bytes], classes: Sequence[str], folds: int) -> None:
    """Raise UserError if a class has fewer groups of images than folds, so that a fold would have none of it."""
    pairs = set(zip(labels.tolist(), groups, strict=True))
    counts = [sum(label == number for label, _ in pairs) for number in range(len(classes))]
    small = [f"{one_line(name)} {count}" for name, count in zip(classes, counts, strict=True) if count < folds]
    if small:
        listed = first_few(small, MAX_LISTED)
        raise UserError(f"classes with fewer images or groups of --split than the {folds} --folds: {listed}; leave "
                        "them out, lower --folds, or use --split file")  # fmt: skip


class Baseline(NamedTuple):
    """Features to measure."""

    build: Builder  # given training images without their labels
    scaled: bool = True  # as in `fit_reduction`


class Split(NamedTuple):
    """Row indices for fitting, for selecting C, and for testing."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Accuracy(NamedTuple):
    """The results of one set of features."""

    accuracy: list[float]  # in each split
    balanced: list[float]  # balanced accuracy in each split
    confusion: Tensor  # (classes, classes), summed over all splits; rows are true classes
    C: list[float]  # selected in each split

    def as_json(self) -> dict[str, Any]:
        return self._asdict() | {"confusion": self.confusion.tolist()}


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

    Each fold has images of all classes, which need at least as many groups as folds. A group is in one fold only.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    alone = len(numbers) == len(groups)
    splitter: Any = (StratifiedKFold if alone else StratifiedGroupKFold)(folds, shuffle=True, random_state=seed)
    of_rows = None if alone else [numbers[group] for group in groups]
    parts = [test for _, test in splitter.split(np.zeros((len(labels), 1)), labels.numpy(), of_rows)]
    made = []
    for n, test in enumerate(parts):
        validation = parts[(n + 1) % folds]
        train = np.setdiff1d(np.arange(len(labels)), np.concatenate([test, validation]))
        made.append(Split(*(torch.from_numpy(rows) for rows in (train, validation, test))))
    return made


def measure(
    baseline: Baseline,
    images: Tensor,
    labels: Tensor,
    classes: int,
    parts: Sequence[Split],
    advance: Callable[[int], None] = lambda done: None,
) -> Accuracy:
    """Return how well a classifier of features predicts the labels (N,) of images uint8 (N, C, H, W), for `splits`."""
    predictions, selected = [], []
    for train, validation, test in parts:
        features = baseline.build(images[train])(images)
        reduced = fit_reduction(features[train], scaled=baseline.scaled)(features)
        C = select_C(reduced, labels, train, validation, classes)
        probe = fit(reduced[train], labels[train], classes, C)
        predictions.append((probe(reduced[test]).argmax(1), labels[test]))
        selected.append(C)
        advance(1)
    return score_of(predictions, classes)._replace(C=selected)


def majority(labels: Tensor, classes: int, parts: Sequence[Split]) -> Accuracy:
    predicted = (labels[part.train].bincount(minlength=classes).argmax().expand(len(part.test)) for part in parts)
    return score_of(zip(predicted, (labels[part.test] for part in parts), strict=True), classes)


def score_of(predictions: Iterable[tuple[Tensor, Tensor]], classes: int) -> Accuracy:
    """Return the score of the predicted and the true labels (N,) of each split."""
    names, accuracies, balanced = range(classes), [], []
    total = torch.zeros(classes, classes, dtype=torch.long)
    for predicted, labels in predictions:
        confusion = torch.from_numpy(confusion_matrix(labels, predicted, labels=names))
        recalls = confusion.diagonal() / confusion.sum(1)  # NaN for a class without images
        accuracies.append(float(confusion.trace() / confusion.sum()))
        balanced.append(float(recalls.nanmean()))
        total += confusion
    return Accuracy(accuracies, balanced, total, [])


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over splits and its standard error.

    The training sets of splits overlap, so their results vary less than independent results. Nadeau and Bengio,
    "Inference for the Generalization Error", 2003, section 3, correct the variance by the ratio of test to training
    images.
    """
    folds = len(values)
    return float(np.mean(values)), float(np.std(values, ddof=1) * np.sqrt(1 / folds + 1 / (folds - 2)))
