"""LEC agrees with NumPy, and is 0 if projection recovers the edited latent."""

import numpy as np
import pytest
import torch

from gan.metrics.edit_consistency import edit_consistency


def test_lec_is_the_trimmed_mean_of_the_residuals() -> None:
    rng = np.random.default_rng(0)
    before, after, edit = rng.standard_normal((250, 3, 4)), rng.standard_normal((250, 3, 4)), rng.standard_normal(4)
    distances = np.sort(np.linalg.norm((before - (after - edit)).reshape(250, -1), axis=1))
    found = edit_consistency(*map(torch.from_numpy, (before, after, edit)))
    assert found == pytest.approx(distances[2:248].mean())
    x = torch.from_numpy(before)
    assert edit_consistency(x, x + torch.from_numpy(edit), torch.from_numpy(edit)) == pytest.approx(0, abs=1e-12)
