"""Classification accuracy score: train a classifier on generated images and test it on real ones.

Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019, arXiv:1905.10887, with a
linear classifier on given features instead of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.recognition.probe import accuracy, fit, fit_reduction, select_C

VALIDATION_FOLDS = 5  # C is selected on every fifth image


def classification_accuracy(
    features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, classes: int
) -> float:
    """Return the accuracy on test features of a classifier trained on features (N, D) and labels (N,)."""
    rows = torch.arange(len(labels))
    validation = rows % VALIDATION_FOLDS == 0
    reduction = fit_reduction(features)
    x, test = reduction(features), reduction(test_features)
    C = select_C(x, labels, rows[~validation], rows[validation], classes, "logistic")
    return accuracy(fit(x, labels, classes, C)(test), test_labels)
