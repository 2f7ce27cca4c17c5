"""Features whose distances were computed once with NumPy and SciPy."""

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture
def golden() -> tuple[Tensor, Tensor]:
    random = np.random.RandomState(2023)
    return torch.tensor(random.randn(1000, 64)), torch.tensor(random.randn(800, 64) * 1.1 + 0.1)
