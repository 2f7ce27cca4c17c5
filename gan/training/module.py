"""GAN training: alternating discriminator and generator updates, for all recipes.

The parts come from the configuration; `gan.contracts` defines their interfaces. For a different formula, write another
part. For a different order of updates, write a subclass of `GAN`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from gan.common.digest import seed_of
from gan.common.option_values import crosses
from gan.contracts import Augmented, LatentStep
from gan.images.convert import to_float
from gan.losses.heads import Logits, per_image
from gan.networks.precision import autocast_dtype
from gan.penalties.gradients import differentiable_pass
from gan.training.base import Base
from gan.training.finite_step import step_if_finite
from gan.training.loss_log import SKIPPED
from gan.training.randomness import augmentation, normal, seed_global
from gan.training.schedules import apply_schedules
from gan.training.strategy import unreduced


class GAN(Base):
    """Alternates discriminator and generator updates. Time is measured in images seen, over all ranks.

    The arguments are those of `gan.training.base.Base`.
    """

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        apply_schedules(self, generator_optimizer, discriminator_optimizer)
        step = self.make_step(batch)
        parts = step.split(self.micro_batch)
        one_pass = self.n_critic == 1 and len(parts) == 1  # one forward pass of G serves both updates
        if one_pass:
            step.generate()

        # Discriminator: accumulate the gradients of the micro-batches, then step.
        with self.toggled_optimizer(discriminator_optimizer):
            discriminator_optimizer.zero_grad()
            terms: dict[str, Tensor] = {}
            for part in parts:
                if not one_pass:
                    with torch.no_grad():
                        part.generate()
                with parametrize.cached():  # all passes share one spectral normalization
                    losses = self.discriminator_loss(part)
                with unreduced(self.trainer.strategy, part is not parts[-1]):
                    self.accumulate(losses, len(part.real) / len(step.real), terms)
            skipped = step_if_finite(self.trainer, discriminator_optimizer, counted=True)
        self.loss_log.add({SKIPPED + "discriminator": skipped, **terms})
        self.update_logit_stats(step, parts)

        # Generator: the same after every n_critic batches, with new latents. Then update the averages of its weights.
        if (step.batch + 1) % self.n_critic == 0:
            if self.n_critic > 1:
                self.renew_input(step)
                parts = step.split(self.micro_batch)
            with self.toggled_optimizer(generator_optimizer):
                generator_optimizer.zero_grad()
                terms = {}
                for part in parts:
                    with parametrize.cached():
                        if not one_pass:
                            part.generate()
                        losses = self.generator_loss(part)
                    with unreduced(self.trainer.strategy, part is not parts[-1]):
                        self.accumulate(losses, len(part.real) / len(step.real), terms)
                skipped = step_if_finite(self.trainer, generator_optimizer, counted=False)
            self.loss_log.add({SKIPPED + "generator": skipped, **terms})
            for average in (self.ema, *self.power_ema):
                average.update(self.generator, self.n_critic * self.batch_size, self.images_seen)

        if crosses(self.images_seen - self.batch_size, self.images_seen, self.log_interval):
            self.log_losses()

    def make_step(self, batch: dict[str, Tensor]) -> Any:
        """Return the step of a batch. Its random numbers depend only on (seed, batch), so that resuming is exact."""
        shared = self.parts_of(batch["image"], batch)
        return LatentStep(z=self.latents(shared["batch"], "discriminator"), **shared)

    def parts_of(self, real: Tensor, batch: dict[str, Tensor]) -> dict[str, Any]:
        """Seed the batch, and return the fields of its step that are the same for generators and translators."""
        number = self.trainer.global_step
        seed_global(self.device, seed_of(self.seed, "global", number, self.global_rank))
        real = to_float(real)
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        augmented = Augmented(self.augment, augmentation(self, number, (real.shape[2], real.shape[3])))
        return {
            "batch": number,
            "real": real,
            "fake": real,
            "label": batch.get("label"),
            "augmented": augmented,
            **networks,
        }

    def latents(self, number: int, stream: str) -> Tensor:
        """Return this rank's latents (N, latent_dim) of batch `number`."""
        return normal(self, number, stream, self.generator.latent_dim)

    def renew_input(self, step: Any) -> None:
        """Sample new latents for the generator's update."""
        step.z = self.latents(step.batch, "generator")

    def discriminator_loss(self, step: Any) -> dict[str, Tensor]:
        """Return the terms of the discriminator's loss by name. Their sum is minimized."""
        step.passes = {}
        step.real_logits = self.judge(step, "real", step.real)
        step.fake_logits = self.judge(step, "fake", self.fakes_for_discriminator(step))
        loss = self.loss.discriminator(step.real_logits, step.fake_logits)
        return {"loss/discriminator": loss, **self.auxiliary(step), **self.penalty_terms("discriminator", step)}

    def judge(self, step: Any, name: str, images: Tensor) -> Logits:
        """Return D's logits of the images. Keep the pass in the step if a penalty that is due differentiates it."""
        parts = [part for part in self.penalties.values() if getattr(part, "differentiates", None) == name]
        critic = step.critic_of_fakes if name == "fake" else step.critic
        if any(self.is_due(part, step) for part in parts):
            step.passes[name] = differentiable_pass(step, images, critic)
            if autocast_dtype(images) != torch.float16:
                return step.passes[name][1]
        logits: Logits = critic(images)
        return logits

    def fakes_for_discriminator(self, step: Any) -> Tensor:
        """Return the generated images that the discriminator is trained on."""
        fakes: Tensor = step.fake.detach()
        return fakes

    def auxiliary(self, step: Any) -> dict[str, Tensor]:
        """Return the discriminator's auxiliary losses by name, such as the reconstruction of its input."""
        if not hasattr(step.discriminator, "auxiliary"):
            return {}
        terms = step.discriminator.auxiliary(step.augmented(step.real))
        return {f"loss/{name}": term for name, term in terms.items()}

    def generator_loss(self, step: Any) -> dict[str, Tensor]:
        """Return the terms of the generator's loss by name. Their sum is minimized."""
        step.fake_logits = step.critic_of_fakes(step.fake)
        if self.loss.needs_real_logits:
            with torch.no_grad():
                step.real_logits = step.critic(step.real)
        loss = self.loss.generator(step.real_logits if self.loss.needs_real_logits else None, step.fake_logits)
        return {"loss/generator": loss, **self.penalty_terms("generator", step)}

    def penalty_terms(self, network: str, step: Any) -> dict[str, Tensor]:
        """Return the penalties of a network by name.

        A lazy penalty is computed in every `interval`-th update and multiplied by `interval`. Otherwise it is 0, and so
        are the gradients of its own weights: DDP needs gradients of all weights in each update.
        """
        zero = step.real.new_zeros(())
        return {
            f"penalty/{name}": part.interval * part(step)
            if self.is_due(part, step)
            else sum((0 * weight.sum() for weight in part.parameters()), zero)
            for name, part in self.penalties.items()
            if part.network == network
        }

    def is_due(self, penalty: Any, step: Any) -> bool:
        """Return whether the number of updates of the penalty's network is a multiple of its interval."""
        updates: int = step.batch // self.n_critic if penalty.network == "generator" else step.batch
        return updates % penalty.interval == 0

    def accumulate(self, losses: dict[str, Tensor], fraction: float, terms: dict[str, Tensor]) -> None:
        """Accumulate the gradients of a micro-batch, and add its losses to `terms`.

        Args:
            fraction: fraction of the batch that is in the micro-batch.
        """
        # Disable autocast, so that operations computed in fp32 have a backward pass in fp32.
        with torch.autocast(self.device.type, enabled=False):
            self.manual_backward(functools.reduce(torch.add, losses.values()) * fraction)
        for name, loss in losses.items():
            terms[name] = terms.get(name, 0) + loss.detach() * fraction

    @torch.no_grad()
    def update_logit_stats(self, step: Any, parts: Sequence[Any]) -> None:
        """Log the fraction of pairs whose real image has the higher logit, and pass the logits to the augmentation."""
        real, fake = ([per_image(getattr(part, name)) for part in parts] for name in ("real_logits", "fake_logits"))
        step.real_logits, step.fake_logits = torch.cat(real), torch.cat(fake)
        self.loss_log.add({"health/accuracy": (step.real_logits > step.fake_logits).float().mean()})
        if hasattr(self.augment, "feedback"):
            self.loss_log.add({"health/augment": self.augment.feedback(step)})
