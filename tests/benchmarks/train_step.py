"""Images/s of Trainer.fit, with default logger and callbacks, against a plain loop over the same networks.

    python tests/benchmarks/train_step.py [--blocks 9] [--seconds 5]

The plain loop has the same batch, precision, memory format and data in memory, and does what any GAN loop must: one
pass of G for both updates, fused Adam, EMA. Both run in turn, in blocks in one process; a pair of blocks gives a ratio.
Prints the median and the spread, and bf16 against fp32 of the plain loop.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, Trainer
from omegaconf import OmegaConf
from torch import nn

from gan.callbacks.interrupt import Interrupt
from gan.checkpoint_io import AtomicCheckpointIO
from gan.config import compose
from gan.loggers import JSONLines

CASES = [("64 px, width 64", 64, 64, 0.97), ("32 px, width 16", 32, 16, 0.90)]  # name, size, width, least ratio


def configured(size: int, width: int, precision: str, run: Path) -> Any:
    cfg = compose(
        [
            f"data.size={size}",
            f"model.generator.width={width}",
            f"model.discriminator.width={width}",
            "data.batch_size=64",
            "data.images=1024",
            "augment=none",
            f"trainer.precision={precision}",
            "images=1000000000",
        ]
    )
    OmegaConf.set_struct(cfg, False)
    cfg.hydra = None
    text = OmegaConf.to_yaml(cfg).replace("${hydra:runtime.output_dir}", str(run))
    return OmegaConf.create(text)


class Blocks(Callback):
    """Hand control to the other loop after each block of batches, in the middle of `fit`."""

    def __init__(self, seconds: float, between: Callable[[int], bool]) -> None:
        self.seconds = seconds
        self.between = between
        self.rates: list[float] = []
        self.batches = 0
        self.started = 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
        self.batches += 1
        if self.batches == 1:
            self.started = time.perf_counter()
        elapsed = time.perf_counter() - self.started
        if elapsed >= self.seconds and self.batches > 1:
            self.rates.append((self.batches - 1) * pl_module.batch_size / elapsed)
            trainer.should_stop = self.between(len(self.rates))
            self.batches = 0


def plain_loop(model: Any, data: Any, precision: str) -> Iterator[None]:
    """One batch a `next`."""
    generator, discriminator, ema = model.generator, model.discriminator, model.ema.module
    adam_g, adam_d = (
        torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), fused=True) for n in (generator, discriminator)
    )
    softplus = nn.functional.softplus
    images = torch.from_numpy(data.pixels[data.rows]).permute(0, 3, 1, 2)  # (N, C, H, W), channels last in memory
    batch = model.batch_size
    g_params, d_params = list(generator.parameters()), list(discriminator.parameters())
    for step in itertools.count():
        rows = torch.randint(0, len(images), (batch,))
        real = images[rows].to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed", cache_enabled=False):
            fake = generator(torch.randn(batch, generator.latent))
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            loss = softplus(-real_logits.float()).mean() + softplus(fake_logits.float()).mean()
            adam_d.zero_grad()
            loss.backward()
            adam_d.step()
            for parameter in d_params:
                parameter.requires_grad_(False)
            loss = softplus(-discriminator(fake).float()).mean()
            adam_g.zero_grad()
            loss.backward()
            adam_g.step()
            for parameter in d_params:
                parameter.requires_grad_(True)
        decay = 0.5 ** (batch / max(min(5000, 0.05 * (step + 1) * batch), 1e-8))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), [p.detach() for p in g_params], 1 - decay)
        yield


def block(loop: Iterator[None], batch: int, seconds: float) -> float:
    next(loop)
    started, batches = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(loop)
        batches += 1
    return batches * batch / (time.perf_counter() - started)


def compare(size: int, width: int, precision: str, blocks: int, seconds: float) -> tuple[list[float], list[float]]:
    """images/s of `fit` and of the plain loop, block by block."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        cfg = configured(size, width, precision, run)
        data = instantiate(cfg.data)
        data.setup("fit")
        loop = plain_loop(instantiate(cfg.model), data, precision)
        rates: list[float] = []

        def other(done: int) -> bool:
            rates.append(block(loop, data.batch_size, seconds))
            return done > blocks  # the first pair warms up

        ours = Blocks(seconds, other)
        trainer = instantiate(cfg.trainer)(
            max_steps=-1,
            callbacks=[Interrupt(), *(instantiate(c) for c in cfg.callback.values()), ours],
            logger=[*(instantiate(logger) for logger in cfg.logger.values()), JSONLines(str(run))],
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
        )
        trainer.fit(instantiate(cfg.model), data)
        return ours.rates[1:], rates[1:]


def spread(values: list[float]) -> str:
    return f"median {statistics.median(values):.3g} (from {min(values):.3g} to {max(values):.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, size, width, least in CASES:
        plain = {}
        for precision in ("bf16-mixed", "32-true"):
            ours, theirs = compare(size, width, precision, arguments.blocks, arguments.seconds)
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            plain[precision] = statistics.median(theirs)
            print(f"{name}, {precision}: fit / plain loop {spread(ratios)}; at least {least} is wanted")
            print(f"    fit {spread(ours)} images/s, plain loop {spread(theirs)} images/s", flush=True)
        print(f"{name}: bf16 is {plain['bf16-mixed'] / plain['32-true']:.2f} x the speed of fp32 in the plain loop")


if __name__ == "__main__":
    main()
