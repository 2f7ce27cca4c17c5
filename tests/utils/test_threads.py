"""The number of torch's threads: chosen by time, with a clock that the tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from gan.utils import torch_runtime
from gan.utils.torch_runtime import ThreadTuner, choose


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """Work that takes a time by the number of threads, and a clock of that time."""

    def __init__(self, seconds: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[int] = []
        monkeypatch.setattr(torch_runtime.time, "perf_counter", lambda: self.now)

    def work(self) -> str:
        self.calls.append(torch.get_num_threads())
        self.now += self.seconds(torch.get_num_threads())
        return "result"


def quiet(count: int) -> float:
    return 0.1 / count**0.7


def busy(free: int) -> Callable[[int], float]:
    """All threads wait for one that shares its core with another program."""
    return lambda count: quiet(count) if count <= free else 2.0


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 16, 64])
def test_the_cores_of_a_quiet_machine_are_used(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = choose(Machine(quiet, monkeypatch).work, limit)
    assert next(iter(found)) == torch.get_num_threads() and found[torch.get_num_threads()] < 1.03 * quiet(limit)


@pytest.mark.parametrize(
    ("limit", "free", "expected"), [(2, 1, 1), (4, 3, 3), (8, 7, 7), (8, 6, 6), (8, 1, 1), (16, 5, 4)]
)
def test_cores_of_other_programs_are_avoided(
    limit: int, free: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(busy(free), monkeypatch)
    assert next(iter(choose(machine.work, limit))) == torch.get_num_threads() == expected
    slow = [count for count in machine.calls if count > free]
    assert len(slow) <= 3 * (limit.bit_length() - 1)  # no long measurement of a number that is much slower


def test_the_cost_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    tuner, machine = ThreadTuner(10), Machine(lambda count: 2.0, monkeypatch)
    assert not tuner.worked(10)  # one thread is no choice
    tuner.limit = 2
    assert tuner.worked(1)
    tuner.choose(machine.work)
    assert tuner.cost == 4  # seconds
    assert not tuner.worked(19, slow=True) and tuner.worked(1, slow=True) and not tuner.worked(59) and tuner.worked(1)
