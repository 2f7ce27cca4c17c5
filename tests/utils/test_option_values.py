"""Numbers of processes."""

import os

import pytest

from gan.utils.errors import UserError
from gan.utils.option_values import check_cpu_devices, check_workers


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
