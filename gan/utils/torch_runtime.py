"""How torch runs: compiled, over several ranks, and on how many threads of a CPU.

torch's threads wait for each other in every layer. Beside a program that occupies one of two cores, one thread is more
than ten times as fast as two, while on idle cores two are faster. The operating system does not tell which is the case,
so the number of threads is chosen by timing the same work with several numbers.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.utils.errors import UserError

SECONDS = 0.3  # minimum time of a measurement
LONG = 1.0  # seconds; a call that takes longer needs no call before it that warms up, and is measured once
HOPELESS = 3.0  # a number of threads that takes this many times the shortest time is measured only once
WORSE = 1.1  # fewer threads are not tried after a number that takes this many times the shortest time
TOLERANCE = 1.03  # the smallest number of threads within this factor of the shortest time is chosen
MAX_COST = 0.05  # maximum fraction of the time that repeated measurements take
MAX_URGENT_COST = 0.2  # the same, while the work is slower than expected


def compile_in_place(backend: str, *networks: nn.Module) -> None:
    """Compile the `forward` of networks. Their other methods stay uncompiled.

    The training step is not compiled: Lightning's toggling of optimizers breaks its graph (Lightning #21513).

    Args:
        backend: a backend of torch.compile; "inductor" generates kernels, "aot_eager" does not.

    Raises:
        UserError: the backend does not exist, or does not work on this machine, for example without a compiler.
    """
    weights = (weight for network in networks for weight in network.parameters())
    device = next((weight.device for weight in weights), None)  # the backend may not support this device
    try:
        torch.compile(torch.neg, backend=backend)(torch.ones(2, device=device))
    except Exception as error:  # each backend raises its own types of errors
        cause = str(getattr(error, "inner_exception", error)).strip().splitlines()[0]
        known = ", ".join(torch.compiler.list_backends(exclude_tags=()))
        raise UserError(f"model.compile={backend}: {cause}; backends are {known}") from error
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


def is_fixed_by_user() -> bool:
    """Return whether the user has set the number of threads in the environment."""
    return bool(os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS"))


def choose(work: Callable[[], object], limit: int) -> dict[int, float]:
    """Set the number of threads, up to `limit`, with which `work` takes the least time.

    Numbers are powers of two times a fraction of `limit`, 3/4 of it, all but one, and all. The search starts at half of
    the limit, where other programs are less in the way, tries more threads while the time falls, then fewer.

    Args:
        work: called several times; it must have no lasting effect.

    Returns:
        The measured seconds by number of threads, the chosen number first.
    """
    halves = {limit >> shift for shift in range(1, limit.bit_length())}
    counts = sorted(halves | {1, limit, max(1, limit - 1), max(1, 3 * limit // 4)})
    first = counts.index(max(1, limit // 2))
    seconds = {counts[first]: measure(work, counts[first], math.inf)}
    # More threads beside other programs are about as slow, so stop at the first that are no faster; fewer can be fast.
    for numbers, worse in ((counts[first + 1 :], 1.0), (counts[:first][::-1], WORSE)):
        for count in numbers:
            shortest = min(seconds.values())
            seconds[count] = measure(work, count, shortest)
            if seconds[count] >= worse * shortest:
                break
    chosen = min(count for count, time in seconds.items() if time <= TOLERANCE * min(seconds.values()))
    torch.set_num_threads(chosen)
    return {chosen: seconds.pop(chosen)} | seconds


def measure(work: Callable[[], object], threads: int, shortest: float) -> float:
    """Return the mean time of `work` with a number of threads, in seconds. A first call warms up if it is short.

    Args:
        shortest: time with the best number so far, in seconds.
    """
    torch.set_num_threads(threads)
    started = time.perf_counter()
    work()
    elapsed = time.perf_counter() - started
    if elapsed > min(LONG, HOPELESS * shortest + SECONDS):
        return elapsed
    started, calls = time.perf_counter(), 0
    while calls < 2 or time.perf_counter() - started < SECONDS:
        work()
        calls += 1
    return (time.perf_counter() - started) / calls


class ThreadTuner:
    """Chooses the number of threads again and again, so rarely that it costs little.

    Args:
        wait: seconds of work between two choices, and before the first.
    """

    def __init__(self, wait: float) -> None:
        self.limit = 1  # largest number to choose
        self.wait = wait
        self.cost = 0.0  # seconds of the last measurement
        self.passed = 0.0  # seconds of work since then
        self.due = False

    def worked(self, seconds: float, slow: bool = False) -> bool:
        """Add seconds of work, and return whether to choose now, which comes sooner if the work is slow."""
        self.passed += seconds
        wait = self.cost / MAX_URGENT_COST if slow else max(self.wait, self.cost / MAX_COST)
        self.due = self.limit > 1 and self.passed >= wait
        return self.due

    def choose(self, work: Callable[[], object]) -> dict[int, float]:
        """Set the number of threads and return the same as `choose`."""
        started = time.perf_counter()
        seconds = choose(work, self.limit)
        self.cost, self.passed = time.perf_counter() - started, 0.0
        return seconds
