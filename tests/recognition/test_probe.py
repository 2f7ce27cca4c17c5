"""Linear probes agree with scikit-learn and NumPy."""

import numpy as np
import pytest
import torch

from gan.recognition.classifier import CS, compose, fit, fit_reduction, select_C


def clouds(n: int, classes: int = 3, size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % classes
    centers = 2 * torch.randn(classes, size, generator=generator)
    return centers[labels] + torch.randn(n, size, generator=generator), labels


def test_components_agree_with_numpy() -> None:
    features = torch.randn(80, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 13) + 5
    features[:, 4] = 3  # always the same: it tells nothing, and is no division by 0
    reduced = fit_reduction(features, 5)(features).numpy()
    x = features.numpy()[:, [n for n in range(12) if n != 4]]
    x = (x - x.mean(0)) / x.std(0, ddof=1)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    expected = (left * values)[:, :5]
    expected /= np.sqrt((expected**2).mean())
    assert np.abs(reduced) == pytest.approx(np.abs(expected), abs=1e-2)
    reduced = fit_reduction(features, 5, scaled=False)(features).numpy()  # of one unit
    x = features.numpy() - features.numpy().mean(0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    expected = (left * values)[:, :5] / np.sqrt(((left * values)[:, :5] ** 2).mean())
    assert np.abs(reduced) == pytest.approx(np.abs(expected), abs=1e-2)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_are_classified(classes: int) -> None:
    features, labels = clouds(150, classes)
    probe = fit(features[:100], labels[:100], classes, 0.1)
    assert (probe(features[100:]).argmax(1) == labels[100:]).float().mean() > 0.9
    reduced = fit_reduction(features[:100], 8)
    small = fit(reduced(features[:100]), labels[:100], classes, 0.1)
    assert torch.allclose(compose(reduced, small)(features), small(reduced(features)), atol=1e-4)


def test_a_class_without_images_is_never_predicted() -> None:
    features, labels = clouds(90)
    rows = labels != 1
    probe = fit(features[rows], labels[rows], 3, 1.0)
    assert set(probe(features).argmax(1).tolist()) == {0, 2}


def test_C_is_the_best_on_validation() -> None:
    """With more features than images, noise is memorized unless weights are regularized."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 2
    features = torch.randn(240, 200, generator=generator)
    features[:, 0] += labels * 2.0
    train, validation = torch.arange(80), torch.arange(80, 240)
    best = select_C(features, labels, train, validation, 2)
    rights = {
        c: (fit(features[train], labels[train], 2, c)(features[validation]).argmax(1) == labels[validation]).sum()
        for c in CS
    }
    assert rights[best] == max(rights.values()) and best == min(c for c, r in rights.items() if r == rights[best])
    assert rights[best] > rights[max(CS)]
