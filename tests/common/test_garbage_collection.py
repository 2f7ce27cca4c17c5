"""Imports and the end of a program run no garbage collection; work does."""

from __future__ import annotations

import gc
import sys

import pytest

from gan.common.processes import skip_during_imports
from tests.conftest import ROOT, run_python

CYCLE = """
import atexit
from gan.common import processes
processes.skip_at_exit()
class Cycle:
    def __init__(self, name): self.itself, self.name = self, name
    def __del__(self): print("collected", self.name)
Cycle("during work")
import gc
gc.collect()
kept = Cycle("at exit")
atexit.register(print, "exit handler")
"""


def test_nothing_is_collected_at_exit() -> None:
    assert run_python(["-c", CYCLE], ROOT, check=True).stdout == "collected during work\nexit handler\n"


def test_collections_start_after_the_imports_of_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    frozen = gc.get_freeze_count()
    with pytest.raises(ImportError), skip_during_imports():
        assert not gc.isenabled()
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count() > frozen


def test_a_later_job_of_a_sweep_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", gc)
    frozen = gc.get_freeze_count()
    with skip_during_imports():
        assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
