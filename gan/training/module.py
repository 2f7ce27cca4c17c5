"""GAN training: alternating discriminator and generator updates, for all recipes.

The parts come from the configuration; `gan.contracts` defines their interfaces and the `Step` that they get. For a
different formula, write another part. For a different order of updates, write a subclass of `GAN`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor
from torch.nn.utils import parametrize

from gan.contracts import PSEUDO_REAL, Augmented, LatentStep, Penalty, Step
from gan.images.convert import to_float
from gan.losses.heads import Logits, per_image
from gan.networks.layers import autocast_dtype
from gan.penalties.gradients import differentiable_pass
from gan.training.base import Base
from gan.training.loss_log import SKIPPED, scaler
from gan.training.schedules import apply_schedules
from gan.utils.digest import seed_of

Terms = dict[str, Tensor]  # scalars of a loss by logged name; their sum is minimized


class GAN(Base):
    """Alternates discriminator and generator updates. Time is measured in images seen, over all ranks.

    The arguments are those of `gan.training.base.Base`.
    """

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        before = self.trainer.global_step * self.batch_size  # images seen
        seen = before + self.batch_size

        # Schedules come first: the augmentation's probability decides what `make_step` draws.
        if self.schedules:
            apply_schedules(self, generator_optimizer, discriminator_optimizer, before)
        step = self.make_step(batch)
        parts = step.split(self.micro_batch)

        # Generated images. One forward pass of G serves both updates. Not with n_critic > 1, where G's update has new
        # latents, and not with micro-batches, where the graphs of all of them would be in memory at the same time.
        share_pass = self.n_critic == 1 and len(parts) == 1
        if share_pass:
            step.generate()

        # Discriminator. A pass of G for this update alone needs no gradients, so it stores no activations.
        def discriminator_loss(part: Step) -> Terms:
            if not share_pass:
                with torch.no_grad():
                    part.generate()
            with parametrize.cached():  # real and generated images see the same spectral normalization
                return self.discriminator_loss(part)

        self.update("discriminator", discriminator_optimizer, parts, discriminator_loss)
        self.update_logit_stats(step, parts)

        # Generator: after every n_critic batches. D's weights have just changed, so the logits are computed again.
        def generator_loss(part: Step) -> Terms:
            with parametrize.cached():
                if not share_pass:
                    part.generate()
                return self.generator_loss(part)

        if (step.batch + 1) % self.n_critic == 0:
            if self.n_critic > 1:
                self.renew_input(step)
                parts = step.split(self.micro_batch)
            self.update("generator", generator_optimizer, parts, generator_loss)
            self.ema.update(self.generator, self.n_critic * self.batch_size, seen)

        # Log: values stay on the device until a line is due, because reading them waits for the device.
        if crosses(before, seen, self.log_interval):
            self.log_losses()

    def update(
        self, network: str, optimizer: LightningOptimizer, parts: Sequence[Step], loss_of: Callable[[Step], Terms]
    ) -> None:
        """Add up the gradients of the micro-batches of a batch, then step the optimizer of one network."""
        images = sum(len(part.real) for part in parts)
        terms: Terms = {}
        with self.toggled_optimizer(optimizer):  # the other network's weights need no gradients
            optimizer.zero_grad()
            for part in parts:
                losses = loss_of(part)
                with self.unreduced(part is not parts[-1]):
                    self.accumulate(losses, len(part.real) / images, terms)
            skipped = self.step_if_finite(network, optimizer)
        self.loss_log.add({SKIPPED + network: skipped, **terms})

    def accumulate(self, losses: Terms, fraction: float, terms: Terms) -> None:
        """Accumulate the gradients of a micro-batch, a fraction of the batch, and add its losses to `terms`."""
        # Disable autocast, so that operations computed in fp32 have a backward pass in fp32.
        with torch.autocast(self.device.type, enabled=False):
            self.manual_backward(functools.reduce(torch.add, losses.values()) * fraction)
        for name, loss in losses.items():
            terms[name] = terms.get(name, 0) + loss.detach() * fraction

    def unreduced(self, local: bool) -> Any:
        """Return a context in which gradients stay on each rank if `local`: ranks exchange those of a whole batch."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if local and isinstance(strategy, ParallelStrategy) else nullcontext()

    def step_if_finite(self, network: str, optimizer: LightningOptimizer) -> Tensor:
        """Step the optimizer, or skip the update if a gradient is not finite: one bad batch must not end a run.

        Returns:
            1 if the update was skipped, else 0, as a tensor on the device.
        """
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        skip = 1 - torch.nn.utils.get_total_norm(gradients).isfinite().float()
        if scaler(self.trainer) is None:  # fp16's gradient scaler skips by itself
            if optimizer.defaults.get("fused"):  # the fused kernel reads the flag on the device, without a wait
                optimizer.optimizer.found_inf = skip  # type: ignore[attr-defined]
            elif skip:
                optimizer.zero_grad()  # a step without gradients changes no weight, but is counted
        # Lightning counts the steps of every optimizer (#17958). Only D's shall count, so that `global_step` is the
        # number of batches; the strategy's method does not count.
        if network == "discriminator":
            optimizer.step()
        else:
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)
        return skip

    # ---- The step of a batch

    def make_step(self, batch: dict[str, Tensor]) -> Step:
        """Return the step of a batch. Its random numbers depend only on (seed, batch), so that resuming is exact."""
        shared = self.parts_of(batch["image"], batch)
        return LatentStep(z=self.latents(shared["batch"], "discriminator"), **shared)

    def parts_of(self, real: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
        """Seed the batch, and return the fields of its step that are the same for generators and translators."""
        number = self.trainer.global_step
        seed_global(self.device, seed_of(self.seed, "global", number, self.global_rank))
        real = to_float(real)
        return {
            "batch": number,
            "real": real,
            "fake": real,
            "label": batch.get("label"),
            "augmented": Augmented(self.augment, augmentation(self, number, (real.shape[2], real.shape[3]))),
            "generator": self.generator,
            "discriminator": self.discriminator,
        }

    def latents(self, number: int, stream: str) -> Tensor:
        """Return this rank's latents (N, latent_dim) of batch `number`: standard normal numbers."""
        size = self.batch_size, self.generator.latent_dim
        return rows(self, torch.randn(size, generator=random(self, stream, number), device=self.device))

    def renew_input(self, step: Step) -> None:
        """Sample new latents for the generator's update."""
        assert isinstance(step, LatentStep)
        step.z = self.latents(step.batch, "generator")

    # ---- Losses of a micro-batch

    def discriminator_loss(self, step: Step) -> Terms:
        step.passes = {}
        step.real_logits = self.judge(step, "real", self.reals_for_discriminator(step))
        step.fake_logits = self.judge(step, "fake", self.fakes_for_discriminator(step))
        loss = self.loss.discriminator(step.real_logits, step.fake_logits)
        return {"loss/discriminator": loss, **self.auxiliary(step), **self.penalty_terms("discriminator", step)}

    def judge(self, step: Step, name: str, images: Tensor) -> Logits:
        """Return D's logits of the images. If a penalty due now needs the gradient, store this pass for it."""
        critic = step.critic_of_fakes if name == "fake" else step.critic
        penalties = [part for part in self.penalties.values() if part.differentiates == name]
        if any(self.is_due(part, step) for part in penalties):
            step.passes[name] = differentiable_pass(step, images, critic)
            if autocast_dtype(images) != torch.float16:  # there the penalty's pass is in fp32
                return step.passes[name][1]
        return critic(images)

    def reals_for_discriminator(self, step: Step) -> Tensor:
        pseudo = getattr(step.augmented, "draws", {}).get(PSEUDO_REAL)  # (N,), see `gan.augment.apa`
        if pseudo is None:
            return step.real
        return torch.where(pseudo[:, None, None, None], step.fake.detach().to(step.real), step.real)

    def fakes_for_discriminator(self, step: Step) -> Tensor:
        return step.fake.detach()

    def auxiliary(self, step: Step) -> Terms:
        """Return the discriminator's auxiliary losses, such as the reconstruction of its input."""
        if step.discriminator.auxiliary is None:
            return {}
        terms = step.discriminator.auxiliary(step.augmented(step.real))
        return {f"loss/{name}": term for name, term in terms.items()}

    def generator_loss(self, step: Step) -> Terms:
        step.fake_logits = step.critic_of_fakes(step.fake)
        if self.loss.needs_real_logits:
            with torch.no_grad():
                step.real_logits = step.critic(step.real)
        loss = self.loss.generator(step.real_logits if self.loss.needs_real_logits else None, step.fake_logits)
        return {"loss/generator": loss, **self.penalty_terms("generator", step)}

    # ---- Lazy penalties

    def penalty_terms(self, network: str, step: Step) -> Terms:
        """Return the penalties of a network by name.

        A lazy penalty is computed in every `interval`-th update and multiplied by `interval`, so that its mean effect
        does not depend on the interval. Otherwise it is 0, and so are the gradients of its own weights: DDP needs
        gradients of all weights in each update.
        """
        zero = step.real.new_zeros(())
        return {
            f"penalty/{name}": part.interval * part(step)
            if self.is_due(part, step)
            else sum((0 * weight.sum() for weight in part.parameters()), zero)
            for name, part in self.penalties.items()
            if part.network == network
        }

    def is_due(self, penalty: Penalty, step: Step) -> bool:
        updates = step.batch // self.n_critic if penalty.network == "generator" else step.batch
        return updates % penalty.interval == 0

    @torch.no_grad()
    def update_logit_stats(self, step: Step, parts: Sequence[Step]) -> None:
        """Log the fraction of pairs whose real image has the higher logit, and pass the logits to the augmentation."""
        real, fake = ([per_image(getattr(part, name)) for part in parts] for name in ("real_logits", "fake_logits"))
        step.real_logits, step.fake_logits = torch.cat(real), torch.cat(fake)
        if self.loss.signed_logits:
            self.loss_log.add({"health/accuracy": (step.real_logits > step.fake_logits).float().mean()})
        if self.augment is not None and self.augment.feedback:
            self.loss_log.add({"health/augment": self.augment.feedback(step)})


def crosses(before: int, after: int, interval: int) -> bool:
    """Return whether a multiple of `interval` images lies in (before, after]."""
    return after // interval > before // interval


# ---- Random numbers of a batch. They are drawn for all ranks and depend only on (seed, stream, batch); each rank takes
# its rows. So two ranks together use the same numbers as one rank, and a resumed run the same as an uninterrupted one.


def augmentation(model: GAN, number: int, size: tuple[int, int]) -> dict[str, Tensor]:
    """Return the augmentation's random numbers (rows of this rank, ...) for batch `number`; {} without augmentation."""
    if model.augment is None:
        return {}
    draws = model.augment.draw(model.batch_size, size, random(model, "augment", number))
    return {name: rows(model, draw) for name, draw in draws.items()}


def rows(model: GAN, x: Tensor) -> Tensor:
    n = len(x) // model.trainer.world_size
    return x[model.global_rank * n :][:n]


def random(model: GAN, stream: str, number: int) -> torch.Generator:
    return torch.Generator(model.device).manual_seed(seed_of(model.seed, stream, number))


def seed_global(device: torch.device, seed: int) -> None:
    """Seed the global generators, which dropout uses. torch.manual_seed takes 0.5 ms, because it tries all devices."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
