"""The number of processes of a run is limited, because a run folder from someone else may ask for thousands."""

from __future__ import annotations

import os

import pytest
from gan.common.option_values import check_cpu_devices, check_workers

from gan.common.errors import UserError
from gan.data.module import ImageDataModule
from gan.data.shards.stream import StreamingDataModule


def test_few_processes_are_accepted_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert check_workers(64) == 64
    check_cpu_devices(4)
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    assert check_workers(128) == 128
    check_cpu_devices(128)


def test_too_many_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(UserError, match="use at most 64"):
        check_workers(65)
    with pytest.raises(UserError, match="use at most 8"):
        check_cpu_devices(9)


def test_data_modules_refuse_them() -> None:
    with pytest.raises(UserError, match=r"data\.num_workers=5000"):
        ImageDataModule(size=16, root="pictures", num_workers=5000)
    with pytest.raises(UserError, match=r"data\.num_workers=5000"):
        StreamingDataModule(size=16, root="shards", num_workers=5000)
