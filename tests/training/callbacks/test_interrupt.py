"""What a signal does to a training with several processes; tests/test_train.py sends real signals."""

import signal
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from lightning import Trainer

from gan.training.callbacks.loop import Interrupt
from gan.training.module import GAN

MODULE = cast(GAN, SimpleNamespace(interrupted=False))


def test_a_signal_during_the_exchange_with_other_ranks_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt = Interrupt()
    interrupt.group = cast("dist.ProcessGroup", object())
    trainer = SimpleNamespace(should_stop=False, global_step=0, callbacks=[])

    def batch_ends(exchange: Any) -> None:
        trainer.global_step += 1
        monkeypatch.setattr(dist, "all_reduce", exchange)
        interrupt.on_train_batch_end(cast(Trainer, trainer), MODULE)

    batch_ends(lambda flag, *_: interrupt.on_signal(signal.SIGTERM, None))
    assert not trainer.should_stop  # the other ranks do not know it yet
    batch_ends(lambda flag, *_: None)
    assert trainer.should_stop and interrupt.signal == signal.SIGTERM


def test_a_signal_of_another_rank_stops_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt, trainer = Interrupt(), SimpleNamespace(should_stop=False, global_step=1, callbacks=[])
    interrupt.group = cast("dist.ProcessGroup", object())
    monkeypatch.setattr(dist, "all_reduce", lambda flag, *_: flag.copy_(torch.tensor([15, 0, 0, -1])))
    interrupt.on_train_batch_end(cast(Trainer, trainer), MODULE)
    assert trainer.should_stop and interrupt.signal == 15 and interrupt.received == 0
