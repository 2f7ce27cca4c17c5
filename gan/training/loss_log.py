"""Losses between two lines of the log: collected on the device, averaged and checked when a line is written."""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from gan.utils.errors import Diverged

SKIPPED = "health/skipped_"  # + network: fraction of its updates that were skipped
RECENT = 100  # updates whose mean loss the terminal shows
IN_A_ROW = 10  # skipped updates of a network that has diverged; 1 if it had no other update in this run


class LossLog:
    """Terms since the last line, and the means of that line. Only reading the means synchronizes with the device."""

    def __init__(self) -> None:
        self.pending: dict[str, list[Tensor]] = defaultdict(list)  # scalars since the last line
        self.means: dict[str, float] = {}  # the last line
        self.recent: dict[str, deque[Tensor]] = defaultdict(partial(deque, maxlen=RECENT))  # the last losses
        self.written: float | None = None  # when (seconds, monotonic)
        self.images = 0  # images seen at the last line
        self.skipped: dict[str, int] = {}  # last updates of each network that were all skipped, by name of SKIPPED
        self.updated: set[str] = set()  # networks with another update in this run

    def add(self, terms: Mapping[str, Tensor]) -> None:
        for name, term in terms.items():
            self.pending[name].append(term.detach())
            if name.startswith("loss/"):
                self.recent[name].append(term.detach())

    def recent_means(self) -> dict[str, float]:
        return {name: finite_mean(torch.stack(list(terms))) for name, terms in self.recent.items()}

    def line(self, images: int) -> dict[str, float]:
        """Means of the finite terms since the last line, and the speed in images per second; starts a new line."""
        self.means = {name: finite_mean(torch.stack(terms)) for name, terms in self.pending.items()}
        for name, terms in self.pending.items():
            if name.startswith(SKIPPED):
                self.count_skipped(name, torch.stack(terms).tolist())
        self.pending.clear()
        now = time.monotonic()
        speed = {}
        if self.written is not None:
            speed["time/images_per_second"] = (images - self.images) / (now - self.written)
        self.written, self.images = now, images
        return {**self.means, **speed}

    def count_skipped(self, name: str, updates: list[float]) -> None:
        """Count the last updates in a row that were skipped. `updates` are those of a line: 1 if skipped, else 0."""
        in_a_row = next((n for n, skipped in enumerate(reversed(updates)) if not skipped), len(updates))
        if in_a_row < len(updates):
            self.skipped[name] = 0
            self.updated.add(name)
        self.skipped[name] = self.skipped.get(name, 0) + in_a_row

    def check(self, trainer: Trainer, images: int) -> None:
        """Raise Diverged on all ranks if, on any rank, a mean or the last gradients of a network are not finite."""
        scale = scaler(trainer)
        fault = self.fault(searching=scale is not None and scale.get_scale() >= 1)
        if trainer.strategy.reduce_boolean_decision(bool(fault), all=False):
            fault = fault or "a loss on another device is not finite"
            raise Diverged(f"training diverged: {fault} at {images} images; lower the learning rate")

    def fault(self, searching: bool) -> str:
        """What in the last line shows that training has diverged; empty if nothing does.

        Args:
            searching: fp16's gradient scaler may still lower its scale, and skips updates until it fits.
        """
        bad = [f"{name} is {value}" for name, value in self.means.items() if not math.isfinite(value)]
        if not bad and not searching:
            bad = [
                f"no gradient of the {name.removeprefix(SKIPPED)} is finite"
                for name, in_a_row in self.skipped.items()
                if in_a_row >= (IN_A_ROW if name in self.updated else 1)
            ]
        return ", ".join(bad)

    def to(self, device: torch.device) -> None:
        """Move the terms that a checkpoint brought, which is read before the module is on its device."""
        for terms in self.pending.values():
            terms[:] = [term.to(device) for term in terms]

    def state_dict(self) -> dict[str, Tensor]:
        return {name: torch.stack(terms) for name, terms in self.pending.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if any(terms.ndim != 1 for terms in state.values()):
            raise ValueError("terms are not scalars")
        self.pending = defaultdict(list, {name: list(terms) for name, terms in state.items()})
        self.updated.update(self.pending)


def scaler(trainer: Trainer) -> Any:
    """Return fp16's gradient scaler; None at other precisions."""
    return getattr(trainer.precision_plugin, "scaler", None)


def finite_mean(terms: Tensor) -> float:
    return float(terms[terms.isfinite()].mean())
