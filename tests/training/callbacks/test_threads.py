"""The number of threads in training: measured on a copy, kept in checkpoints, chosen again when training is slow."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from gan.training.callbacks import threads
from gan.training.callbacks.threads import Threads, choose
from gan.training.memory import copy_of, example, step_of
from gan.utils.errors import UserError
from tests.recipes import BATCH, RECIPES, build

from ..test_module import fit, model

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the measurement: the numbers of threads that it chooses, one after the other; the last is kept."""
    numbers = [1]

    def choose_next(work: Callable[[], None], limit: int) -> dict[int, float]:
        work()
        number = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        torch.set_num_threads(number)
        return {number: 0.01, 3 - number: 0.5}

    monkeypatch.setattr(threads, "choose", choose_next)
    return numbers


def weights(module: Any) -> list[torch.Tensor]:
    return [value.clone() for value in module.state_dict().values()]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_measured_step_changes_nothing(recipe: str) -> None:
    module, data = build(recipe)
    before = weights(module)
    step = step_of(copy_of(module), example(module, data, BATCH, CPU), CPU, torch.bfloat16)
    step()
    step()
    assert all(map(torch.equal, weights(module), before))
    assert module._trainer is None and not module.loss_log.pending


def test_training_computes_the_same_as_with_a_fixed_number(chosen: list[int], capsys: Any) -> None:
    automatic, fixed = model(), model()
    fit(automatic, 3, Threads())
    assert capsys.readouterr().out.splitlines()[-1] == "threads: 1; a step takes 10 ms, with 2: 500 ms"
    assert torch.get_num_threads() == 2  # as before training
    fit(fixed, 3, Threads(1))
    assert "threads" not in capsys.readouterr().out
    assert all(map(torch.equal, weights(automatic), weights(fixed)))


def test_slow_steps_are_measured_again(chosen: list[int], capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0, 1)  # a step takes a second in place of the measured 10 ms
    monkeypatch.setattr(threads.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(threads, "MAX_URGENT_COST", 1)  # the measurement takes a second, too
    chosen[:] = [2, 1]
    fit(model(), 8, Threads())
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("threads")]
    assert [line.split(";")[0] for line in lines] == ["threads: 2", "threads: 1"]


def test_more_threads_are_tried_from_time_to_time(
    chosen: list[int], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    callback = Threads()
    chosen[:] = [1, 2]
    now = itertools.count(0, 0.02)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(threads, "WINDOW", 0.02)
    monkeypatch.setattr(threads, "WAIT", 0.1)
    fit(model(), 16, callback)
    assert "threads: 2" in capsys.readouterr().out


def test_a_checkpoint_keeps_the_number(chosen: list[int], capsys: Any) -> None:
    callback = Threads()
    trainer = fit(model(), 1, callback)
    torch.set_num_threads(1)
    state = callback.state_dict()
    assert state == {"threads": 1, "seconds": 0.01}
    torch.set_num_threads(2)
    resumed = Threads()
    resumed.setup(trainer, trainer.lightning_module, "fit")
    resumed.load_state_dict(state)
    assert torch.get_num_threads() == 1 and resumed.expected == 0.01
    resumed.load_state_dict({"threads": 64, "seconds": 0.02})  # of a larger machine
    assert torch.get_num_threads() == 1 and resumed.expected == 0.01
    fixed = Threads(2)
    fixed.setup(trainer, trainer.lightning_module, "fit")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    fixed.load_state_dict({"threads": 2, "seconds": 0.01})
    assert torch.get_num_threads() == 1
    with pytest.raises(UserError, match="the checkpoint's threads=no"):
        resumed.load_state_dict({"threads": "no", "seconds": 1})


class Machine:
    """Work that takes a time by the number of threads, and a clock of that time."""

    def __init__(self, seconds: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[int] = []
        monkeypatch.setattr(threads.time, "perf_counter", lambda: self.now)

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
