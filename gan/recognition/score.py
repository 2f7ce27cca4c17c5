"""How good generated images are as lessons: what is learned from them, tested on real ones.

Ravuri and Vinyals, "Classification Accuracy Score for Conditional Generative Models", 2019, arXiv:1905.10887, with a
linear classifier of given features in place of a network.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.recognition.probe import accuracy, chosen, fit, reduction

FIFTH = 5  # each fifth image is one that the constant is chosen on


def classification_accuracy(
    features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, classes: int
) -> float:
    """The share of test images that is told right by what is learned from features (N, D) and labels (N,).

    The constant is chosen on a fifth of the images learned from.
    """
    rows = torch.arange(len(labels))
    validation = rows % FIFTH == 0
    reduced = reduction(features)
    x, tested = reduced(features), reduced(test_features)
    constant = chosen(x, labels, rows[~validation], rows[validation], classes, "logistic")
    return accuracy(fit(x, labels, classes, constant)(tested), test_labels)
