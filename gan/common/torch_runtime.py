"""How torch runs: compiled, over several ranks, and on how many threads of a CPU.

torch's threads wait for each other in every layer. Beside a program that occupies one of two cores, one thread is more
than ten times as fast as two, while on idle cores two are faster. The operating system does not tell which is the case,
so the number is chosen by timing the same work with several numbers.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.common.errors import UserError


def compile_in_place(backend: str, *networks: nn.Module) -> None:
    """Compile the `forward` of networks. Their other methods stay uncompiled.

    The training step is not compiled: Lightning's toggling of optimizers breaks its graph (Lightning #21513).

    Args:
        backend: a backend of torch.compile; "inductor" generates kernels, "aot_eager" does not.

    Raises:
        UserError: the backend does not exist, or does not work on this machine, for example without a compiler.
    """
    known = torch.compiler.list_backends(exclude_tags=())
    if backend not in known:
        raise UserError(f"model.compile={backend}: torch has no such backend; use one of {', '.join(known)}")
    weights = (weight for network in networks for weight in network.parameters())
    device = next((weight.device for weight in weights), None)  # the backend may not support this device
    try:
        torch.compile(torch.neg, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # each backend raises its own types of errors
        cause = str(getattr(error, "inner_exception", error)).strip().splitlines()[0]
        raise UserError(f"model.compile={backend}: does not work on this machine: {cause}") from error
    for network in networks:
        network.compile(backend=backend)


def uncompiled(network: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which a network runs uncompiled.

    Compiled networks have no second derivatives (PyTorch #91469), and each new batch size would be compiled again.
    """
    if network._compiled_call_impl is None:
        return contextlib.nullcontext()
    return torch.compiler.set_stance("force_eager")


def over_ranks(value: Tensor) -> Tensor:
    """Return the mean of a tensor over all ranks, without gradients; the tensor itself if there is one rank."""
    if ranks() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


def ranks() -> int:
    """Return the number of ranks."""
    return dist.get_world_size() if dist.is_initialized() else 1


Result = TypeVar("Result")
SECONDS = 0.3  # minimum time of a measurement
LONG = 1.0  # seconds; a call that takes longer needs no call before it that warms up, and is measured once
HOPELESS = 3.0  # a number of threads that takes this many times the shortest time is measured only once
WORSE = 1.1  # fewer threads are not tried after a number that takes this many times the shortest time
TOLERANCE = 1.03  # the smallest number of threads within this factor of the shortest time is chosen
MAX_COST = 0.05  # maximum fraction of the time that repeated measurements take
MAX_URGENT_COST = 0.2  # the same, while the work is slower than expected
FIRST_SECONDS = 1.0  # seconds of work before the first measurement of `Tuned`


def is_fixed_by_user() -> bool:
    """Return whether the user has set the number of threads in the environment."""
    return bool(os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"))


def candidates(limit: int) -> list[int]:
    """Return the numbers of threads to try, ascending: powers of two below `limit`, 3/4 of it, all but one, and all.

    >>> candidates(16)
    [1, 2, 4, 8, 12, 15, 16]
    """
    found = {1, limit, limit - 1, 3 * limit // 4}
    while limit > 1:
        limit //= 2
        found.add(limit)
    return sorted(count for count in found if count)


def choose(work: Callable[[], object], limit: int, clock: Callable[[], float] = time.perf_counter) -> dict[int, float]:
    """Set the number of threads, up to `limit`, with which `work` takes the least time.

    The search starts at half of the limit, where other programs are less in the way, tries more threads while the time
    falls, then fewer.

    Args:
        work: called several times; it must have no lasting effect.
        clock: returns seconds.

    Returns:
        The measured seconds by number of threads, the chosen number first.
    """
    counts = candidates(limit)
    first = counts.index(max(1, limit // 2))
    seconds = {counts[first]: measure(work, counts[first], math.inf, clock)}
    # More threads beside other programs are about as slow, so stop at the first that are no faster; fewer can be fast.
    for numbers, worse in ((counts[first + 1 :], 1.0), (counts[:first][::-1], WORSE)):
        for count in numbers:
            shortest = min(seconds.values())
            seconds[count] = measure(work, count, shortest, clock)
            if seconds[count] >= worse * shortest:
                break
    chosen = min(count for count, time in seconds.items() if time <= TOLERANCE * min(seconds.values()))
    torch.set_num_threads(chosen)
    return {chosen: seconds.pop(chosen)} | seconds


def measure(work: Callable[[], object], threads: int, shortest: float, clock: Callable[[], float]) -> float:
    """Return the mean time of `work` with a number of threads, in seconds. If it is short, the first call warms up.

    Args:
        shortest: time with the best number so far, in seconds.
    """
    torch.set_num_threads(threads)
    started = clock()
    work()
    elapsed = clock() - started
    if elapsed > LONG or elapsed > HOPELESS * shortest + SECONDS:
        return elapsed
    started, calls = clock(), 0
    while calls < 2 or clock() - started < SECONDS:
        work()
        calls += 1
        if (clock() - started) / calls > HOPELESS * shortest:
            break
    return (clock() - started) / calls


class Schedule:
    """Says when to measure again. The time between measurements doubles while the choice stays the same.

    Args:
        first: seconds of work before the first measurement, and after one that has changed the choice.
    """

    def __init__(self, first: float) -> None:
        self.first = self.wait = first
        self.cost = 0.0  # seconds of the last measurement
        self.passed = 0.0  # seconds of work since then

    def is_due(self, seconds: float, urgent: bool = False) -> bool:
        """Add seconds of work, and return whether to measure again. Urgent measurements wait for a shorter time."""
        self.passed += seconds
        return self.passed >= (self.cost / MAX_URGENT_COST if urgent else self.wait)

    def measured(self, cost: float, changed: bool) -> None:
        """Set the time until the next measurement.

        Args:
            cost: seconds that this measurement took.
            changed: whether it has changed the number of threads.
        """
        self.wait = max(self.first if changed else 2 * self.wait, cost / MAX_COST)
        self.cost, self.passed = cost, 0.0


class Tuned:
    """Calls functions that have no lasting effect, and meanwhile chooses the number of threads for them.

    It does nothing until `start`. Results do not depend on the number of threads, because the forward passes of
    convolutions divide the images and channels among threads, not the sums.
    """

    def __init__(self) -> None:
        self.start(1)

    def start(self, limit: int) -> None:
        """Choose from up to `limit` threads from now on; 1 ends it."""
        self.limit = limit
        self.schedule = Schedule(FIRST_SECONDS)
        self.is_due = False

    def __call__(self, function: Callable[[], Result]) -> Result:
        """Return function(). From time to time, first call it with several numbers of threads.

        This is never after the last call, when a measurement would be of no use.
        """
        started = time.perf_counter()
        if self.is_due:
            before = torch.get_num_threads()
            choose(function, self.limit)
            ended = time.perf_counter()
            self.schedule.measured(ended - started, torch.get_num_threads() != before)
            started = ended
        result = function()
        self.is_due = self.limit > 1 and self.schedule.is_due(time.perf_counter() - started)
        return result


tuned = Tuned()  # of this process; started by `gan` commands


def set_threads(threads: str, on_cpu: bool) -> None:
    """Set the number of threads of a command.

    Args:
        threads: a number, or "auto", which starts `tuned` if the model runs on the CPU and the user has not set
            OMP_NUM_THREADS.

    Raises:
        UserError: `threads` is neither an integer of at least 1 nor "auto".
    """
    if threads != "auto":
        if not (threads.isdecimal() and int(threads) > 0):
            raise UserError(f"--threads {threads}: must be an integer of at least 1, or auto")
        torch.set_num_threads(int(threads))
    elif on_cpu and not is_fixed_by_user():
        tuned.start(torch.get_num_threads())
