"""Make Lightning's Trainer from the options of conf/trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning import Callback, Trainer

from gan.training.callbacks.threads import Threads


def make_trainer(*, callbacks: Sequence[Callback] = (), threads: int | str = "auto", **options: Any) -> Trainer:
    """Return a Trainer that runs torch with a number of threads.

    Args:
        threads: see `Threads`.
        options: options of Lightning's Trainer.
    """
    return Trainer(callbacks=[Threads(threads), *callbacks], **options)
