"""Seeds and numbers of processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gan.utils.digest import seed_of
from gan.utils.errors import UserError
from gan.utils.option_values import check_cpu_devices, check_workers


def test_seeds_are_functions_of_the_key_in_every_process() -> None:
    assert seed_of(0, "a", 1) != seed_of(0, "a", 2) != seed_of(1, "a", 2)
    code = "from gan.utils.digest import seed_of; print(seed_of(3, 'latents', 17))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) == seed_of(3, "latents", 17)
    assert 0 <= seed_of(3, "latents", 17) < 2**63


def test_the_number_of_processes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run folder from someone else may ask for thousands."""
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    assert check_workers(128) == 128
    check_cpu_devices(128)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert check_workers(64) == 64
    with pytest.raises(UserError, match="use at most 64"):
        check_workers(65)
    with pytest.raises(UserError, match="use at most 4"):
        check_cpu_devices(9)
