"""Work on all cores: in order, whole, and past a process that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
from itertools import chain

import pytest

from gan.data import pool


def square(task: int) -> int:
    return task * task


def deadly(task: int) -> int:
    if task in (13, 300) and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def fail(task: int) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("count", [0, 1, 700])
@pytest.mark.parametrize("alone", [0.0, 60.0])
def test_results_are_in_order(count: int, alone: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", alone)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    assert list(chain.from_iterable(pool.spread(square, range(count), square))) == [n * n for n in range(count)]


def test_a_task_that_kills_its_process_is_found_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", 0.0)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    results = list(chain.from_iterable(pool.spread(deadly, range(400), lambda task: -1)))
    assert results == [-1 if n in (13, 300) else n * n for n in range(400)]
    assert not multiprocessing.active_children()


def test_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", 0.0)
    with pytest.raises(OSError, match="No space"):
        list(pool.spread(fail, range(100), fail))
