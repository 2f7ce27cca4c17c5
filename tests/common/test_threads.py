"""The number of torch's threads: chosen by time, with a clock that the tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from gan.common.torch_runtime import Schedule, Tuned, candidates, choose, set_threads

from gan.common import torch_runtime
from gan.common.errors import UserError


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    torch_runtime.tuned.start(1)


class Machine:
    """Work that takes a time by the number of threads, and a clock of that time."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[int] = []

    def work(self) -> str:
        self.calls.append(torch.get_num_threads())
        self.now += self.seconds(torch.get_num_threads())
        return "result"

    def clock(self) -> float:
        return self.now


def quiet(count: int) -> float:
    return 0.1 / count**0.7


def busy(free: int) -> Callable[[int], float]:
    """All threads wait for one that shares its core with another program."""
    return lambda count: quiet(count) if count <= free else 2.0


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 3, 4]), (8, [1, 2, 4, 6, 7, 8]), (12, [1, 3, 6, 9, 11, 12])],
)
def test_candidates(limit: int, expected: list[int]) -> None:
    assert candidates(limit) == expected


@pytest.mark.parametrize("limit", [1, 2, 4, 16, 64])
def test_the_cores_of_a_quiet_machine_are_used(limit: int) -> None:
    machine = Machine(quiet)
    found = choose(machine.work, limit, machine.clock)
    assert next(iter(found)) == torch.get_num_threads() and found[torch.get_num_threads()] < 1.03 * quiet(limit)


@pytest.mark.parametrize(
    ("limit", "free", "expected"), [(2, 1, 1), (4, 3, 3), (8, 7, 7), (8, 6, 6), (8, 1, 1), (16, 5, 4)]
)
def test_cores_of_other_programs_are_avoided(limit: int, free: int, expected: int) -> None:
    machine = Machine(busy(free))
    assert next(iter(choose(machine.work, limit, machine.clock))) == torch.get_num_threads() == expected
    slow = [count for count in machine.calls if count > free]
    assert len(slow) <= 3 * (limit.bit_length() - 1)  # no long measurement of a number that is much slower


def test_long_work_is_measured_once() -> None:
    machine = Machine(lambda count: 6 / count)
    assert next(iter(choose(machine.work, 2, machine.clock))) == 2 and machine.calls == [1, 2]


def test_the_fewest_of_equally_fast_numbers() -> None:
    machine = Machine(lambda count: 0.1 if count > 1 else 0.2)
    assert next(iter(choose(machine.work, 8, machine.clock))) == 2


def test_the_schedule_doubles_and_limits_the_cost() -> None:
    schedule = Schedule(10)
    assert not schedule.is_due(9) and schedule.is_due(1)
    schedule.measured(cost=0.1, changed=False)
    assert not schedule.is_due(19) and schedule.is_due(1)
    schedule.measured(cost=0.1, changed=True)
    assert schedule.is_due(10)
    schedule.measured(cost=4, changed=True)
    assert not schedule.is_due(10, urgent=True) and schedule.is_due(10, urgent=True) and not schedule.is_due(59)
    assert schedule.is_due(1)


def test_work_of_a_command_is_measured_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(busy(1))
    monkeypatch.setattr(torch_runtime.time, "perf_counter", machine.clock)
    monkeypatch.setattr(torch_runtime.choose, "__defaults__", (machine.clock,))
    torch.set_num_threads(2)
    tuned = Tuned()
    assert tuned(machine.work) == tuned(machine.work) == "result" and machine.calls == [2, 2]  # not started
    tuned.start(2)
    assert tuned(machine.work) == "result" and machine.calls == [2, 2, 2]  # it could have been the last work
    assert tuned(machine.work) == "result" and torch.get_num_threads() == 1
    machine.calls.clear()
    for _ in range(100):
        tuned(machine.work)
    assert machine.calls.count(2) <= 1


def test_the_option_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    set_threads("auto", on_cpu=False)
    assert torch_runtime.tuned.limit == 1
    set_threads("auto", on_cpu=True)
    assert torch_runtime.tuned.limit == 2
    torch_runtime.tuned.start(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    set_threads("auto", on_cpu=True)
    assert torch_runtime.tuned.limit == 1
    set_threads("3", on_cpu=True)
    assert torch.get_num_threads() == 3
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(UserError, match=f"--threads {wrong}: must be an integer of at least 1, or auto"):
            set_threads(wrong, on_cpu=True)
