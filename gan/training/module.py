"""The adversarial game: who moves when, once for all recipes.

The parts are duck-typed; there is no registry and no base class. What each must offer:

batch          {"image": uint8 (N, C, H, W), "label": int64 (N,)} from the DataModule; floats in [-1, 1] are made here,
               on the device. For translators (`gan.training.translation`) {"a": ..., "b": ...}.
generator      `latent: int`; `forward(z, label=None) -> (N, C, H, W)`, nominally in [-1, 1].
discriminator  `forward(x, label=None)` -> logits without sigmoid, a tensor (N, ...) or a tuple of such, one a head;
               `features(x)` -> list of its layers' activations. Real and fake go through it in separate passes.
               Optional: `head: str | None`, the name of its last layer, which must be the loss's `requires_head`.
               Optional: `auxiliary(real, fake, label) -> {name: scalar}`, what it learns beside, of augmented images.
loss           `discriminator(real_logits, fake_logits)` and `generator(real_logits or None, fake_logits)` -> scalars;
               `paired = True` where the generator needs the real logits too.
               Optional: `requires_head: str | None`; `signed_logits = False` if the sign of a logit has no meaning.
penalty        `network = "discriminator" or "generator"`; `interval: int`, in that network's updates, multiplied into
               the term;
               `forward(step: Step) -> scalar`; parameters of its own are trained with that network's.
augment        `draw(n, size, generator) -> draws`; `forward(x, draws)`, shape kept, differentiable twice.
               Optional: `feedback(step) -> probability`, with which it follows what D says of real images.

A change of formula is another part. A change in who moves when is a subclass of GAN.
"""

from __future__ import annotations

import functools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from gan.common.clock import crosses, seed_of
from gan.common.compile import compile_in_place
from gan.common.errors import Diverged, UserError, at_least
from gan.contracts import Augmented, Step
from gan.images.convert import to_float
from gan.inference.sampling import FAKES_SEED, classes_of, generate, latents, reestimate_batch_norm
from gan.losses.heads import per_image
from gan.run.run_folder import flatten
from gan.training.ema import EMA, PowerEMA

SKIPPED = "health/skipped_"  # share of a network's updates that were left out
PREVIEW_SEED = 0  # previews show the pictures that `gan generate --seeds 0-63` draws


class GAN(LightningModule):
    """Alternate discriminator and generator updates; the clock is images seen, by all ranks together.

    Args:
        generator_optimizer, discriminator_optimizer: called with the parameters, return an Optimizer.
        batch_size: images a batch over all ranks.
        seed: of latents and of every other draw in training.
        n_critic: discriminator updates a generator update.
        ema_half_life: in images.
        ema_warmup: the half-life is at most this share of the images seen.
        log_interval: images from one line of losses to the next; they are averaged over it.
        power_averages: widths of further averages of the generator (`PowerEMA`), compared with the first at the end.
        micro_batch: images a device takes through the networks at a time, their gradients added up: a large batch on a
            small device, for more passes of G. BatchNorm and minibatch deviation see a part of the batch.
        compile: torch.compile's backend, through which calls of both networks go while they train; None is none.
        schedules: `images seen -> value` for an option of an optimizer, {"generator_optimizer": {"lr": ...}}, or for an
            attribute of a part, {"penalties": {"r1": {"weight": ...}}} or {"ema": {"half_life": ...}}.

    Raises:
        UserError: a count is less than 1; the optimizers do not take their options.
    """

    generator: Any  # duck-typed parts: nn.Module would hide what they offer
    discriminator: Any
    loss: Any
    penalties: Any
    augment: Any
    class_counts: Tensor
    target = "image"  # of a batch, what D takes for real
    judges_alone = True  # D sees a picture and nothing beside it
    step_type = Step

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: nn.Module,
        generator_optimizer: Callable[..., Optimizer],
        discriminator_optimizer: Callable[..., Optimizer],
        *,
        batch_size: int,
        seed: int = 0,
        n_critic: int = 1,
        ema_half_life: float = 5_000,
        ema_warmup: float = 0.05,
        log_interval: int = 1_000,
        penalties: Mapping[str, nn.Module] | None = None,
        augment: nn.Module | None = None,
        schedules: Mapping[str, Any] | None = None,
        micro_batch: int | None = None,
        power_averages: Sequence[float] = (),
        compile: str | None = None,
    ) -> None:
        super().__init__()
        head, required = getattr(discriminator, "head", None), getattr(loss, "requires_head", None)
        if head != required:
            raise UserError(
                f"model.discriminator.head={head}: this loss does not take it; use loss={head}, or head=null"
                if required is None
                else f"this loss needs a discriminator with head={required}; use model=dcgan, sngan, stylegan2 or r3gan"
            )
        if hasattr(augment, "feedback") and not getattr(loss, "signed_logits", True):
            raise UserError(
                "augment=ada: adapts to the sign of D(real), which says nothing in this loss; "
                "take augment=r3gan, whose probability is given, or diffaugment"
            )
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.ema = EMA(generator, ema_half_life, ema_warmup)
        self.averages = nn.ModuleList(PowerEMA(generator, width) for width in power_averages)
        self.loss = loss
        self.penalties = nn.ModuleDict(dict(penalties or {}))
        self.augment = augment
        self.schedules: dict[str, Callable[[int], Any]] = flatten(schedules) if schedules else {}
        self.optimizer_factories = generator_optimizer, discriminator_optimizer
        self.batch_size = batch_size
        self.seed = seed
        counts = torch.zeros(getattr(generator, "classes", 0))
        self.register_buffer("class_counts", counts, persistent=len(counts) > 0)  # images of each class
        self.n_critic = at_least("model.n_critic", n_critic, 1)
        self.micro_batch = None if micro_batch is None else at_least("model.micro_batch", micro_batch, 1)
        self.compile_with = compile
        self.log_interval = at_least("model.log_interval", log_interval, 1)
        self.pending: dict[str, list[Tensor]] = defaultdict(list)  # losses since the last line
        self.losses: dict[str, float] = {}  # the last line
        self.logged = 0.0, 0  # when the last line was written (s, monotonic; 0 is never), and the images seen then
        self.config: dict[str, Any] = {}  # the run's resolved configuration, plain containers, for the checkpoint
        self.estimated_at = -1  # images seen when the average's BatchNorm was last estimated
        self.to(memory_format=torch.channels_last)  # 1.2 to 1.9 x the speed of convolutions in bf16 on a CPU

    def configure_optimizers(self) -> list[Optimizer]:
        try:
            return [
                make(self.trained(of))
                for make, of in zip(self.optimizer_factories, ("generator", "discriminator"), strict=True)
            ]
        except (TypeError, ValueError) as error:
            raise UserError(f"model.generator_optimizer or discriminator_optimizer: {error}") from error

    def trained(self, of: str) -> list[nn.Parameter]:
        """The parameters of a network, and what its penalties learn with it."""
        penalties = [penalty for penalty in self.penalties.values() if penalty.network == of]
        return [p for part in (getattr(self, of), *penalties) for p in part.parameters()]

    def start(self, data: Any) -> None:
        """Take from the data what a new model begins with."""

    def on_fit_start(self) -> None:
        if self.compile_with is not None:
            compile_in_place(self.compile_with, self.generator, self.discriminator)
        if len(self.class_counts):
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            self.class_counts.copy_(data.class_counts())
        for terms in self.pending.values():  # of a checkpoint, which is read before the module is on its device
            terms[:] = [term.to(self.device) for term in terms]

    @property
    def images_seen(self) -> int:
        """Images that D has been shown, over all ranks: the one clock."""
        return self.trainer.global_step * self.batch_size

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        generator_optimizer, discriminator_optimizer = self.lightning_optimizers()
        # D moves in every batch and G in some: let D alone be counted, so that global_step is the number of batches
        # (Lightning #17958). The loop sets both hooks anew before each batch.
        generator_optimizer._on_before_step = generator_optimizer._on_after_step = lambda: None
        self.follow_schedules(generator_optimizer, discriminator_optimizer)
        step = self.begin(batch)
        parts = step.split(self.micro_batch)
        shares = [len(part.real) / len(step.real) for part in parts]
        one_pass = self.n_critic == 1 and len(parts) == 1  # then one pass of G serves both updates
        if one_pass:
            self.generate_fakes(step, train=True)
        with self.toggled_optimizer(discriminator_optimizer):
            drawn = parts if one_pass else (self.generate_fakes(part, train=False) for part in parts)
            self.move("discriminator", discriminator_optimizer, map(self.discriminator_loss, drawn), shares)
        self.update_logit_stats(step, parts)
        if (step.batch + 1) % self.n_critic == 0:
            if self.n_critic > 1:
                step.z = self.source(batch, step.batch, "generator")
                parts = step.split(self.micro_batch)
            with self.toggled_optimizer(generator_optimizer):
                drawn = parts if one_pass else (self.generate_fakes(part, train=True) for part in parts)
                self.move("generator", generator_optimizer, map(self.generator_loss, drawn), shares)
            for average in (self.ema, *self.averages):
                average.update(self.generator, self.n_critic * self.batch_size, self.images_seen)
        if crosses(self.images_seen - self.batch_size, self.images_seen, self.log_interval):
            self.log_losses()

    def follow_schedules(self, generator: LightningOptimizer, discriminator: LightningOptimizer) -> None:
        """Give each scheduled value what it has at this count of images.

        Raises:
            UserError: there is no such value.
        """
        options = {
            "generator_optimizer": generator.param_groups[0],
            "discriminator_optimizer": discriminator.param_groups[0],
        }
        steers_itself = self.augment is None or hasattr(self.augment, "feedback")
        for path, schedule in self.schedules.items():
            where, _, name = path.rpartition(".")
            group, _, part = where.partition(".")
            if (group == "penalties" and part not in self.penalties) or (group == "augment" and steers_itself):
                continue  # a recipe's, for a part that was left out
            value = schedule(self.images_seen)
            try:
                owner = options[where] if where in options else vars(self.get_submodule(where))
                if np.shape(owner[name]) != np.shape(value):
                    raise KeyError(name)
                owner[name] = value
            except (AttributeError, KeyError) as error:
                raise UserError(f"model.schedules: {path}: there is no such value, or it is of another kind") from error

    def begin(self, batch: dict[str, Tensor]) -> Step:
        """Gather what the updates need; every draw of this batch is a function of (seed, batch), so resume is exact."""
        batches = self.trainer.global_step
        # Dropout and the like draw from the global state, which each rank sets anew.
        seed_global(self.device, seed_of(self.seed, "global", batches, self.global_rank))
        real = to_float(batch[self.target])
        return self.step_type(
            batch=batches,
            real=real,
            label=batch.get("label"),
            z=self.source(batch, batches, "discriminator"),
            generator=self.generator,
            discriminator=self.discriminator,
            augmented=self.augmented(batches, (real.shape[2], real.shape[3])),
            fake=real,
        )

    def generate_fakes(self, step: Step, train: bool) -> Step:
        """Draw the step's images anew, for a generator that trains on them or one that does not."""
        with torch.set_grad_enabled(train):
            step.fake = step.generator(step.z, step.label)
        return step

    def shown(self, step: Step) -> Tensor:
        """The generated images that D learns from."""
        return step.fake.detach()

    def source(self, batch: dict[str, Tensor], number: int, stream: str) -> Tensor:
        """What G draws from: this rank's rows of the latents (N, latent) of global batch `number`, so that two ranks
        see together what one would."""
        z = torch.randn(
            self.batch_size, self.generator.latent_dim, generator=self.random(stream, number), device=self.device
        )
        return self.rows(z)

    def rows(self, x: Tensor) -> Tensor:
        """This rank's share of something drawn for the global batch."""
        share = len(x) // self.trainer.world_size
        return x[self.global_rank * share :][:share]

    def random(self, stream: str, batch: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed_of(self.seed, stream, batch))

    def augmented(self, batch: int, size: tuple[int, int]) -> Augmented:
        """What augments this batch, the same for real and generated images."""
        if self.augment is None:
            return Augmented(None, {})
        drawn = self.augment.draw(self.batch_size, size, self.random("augment", batch))
        return Augmented(self.augment, {name: self.rows(draw) for name, draw in drawn.items()})

    def discriminator_loss(self, step: Step) -> dict[str, Tensor]:
        """Named terms of D's loss; their sum is minimized."""
        step.real_logits = step.critic(step.real)
        step.fake_logits = step.critic(self.shown(step))
        loss = self.loss.discriminator(step.real_logits, step.fake_logits)
        return {"loss/discriminator": loss, **self.auxiliary(step), **self.penalty_terms("discriminator", step)}

    def auxiliary(self, step: Step) -> dict[str, Tensor]:
        """What the discriminator learns beside its game, such as to redraw what it sees."""
        if not hasattr(step.discriminator, "auxiliary"):
            return {}
        discriminator: Any = step.discriminator
        terms = discriminator.auxiliary(step.augmented(step.real), step.augmented(step.fake.detach()), step.label)
        return {f"loss/{name}": term for name, term in terms.items()}

    @torch.no_grad()
    def update_logit_stats(self, step: Step, parts: list[Step]) -> None:
        """Keep what D said of each image, show it to the augmentation, and remember in which share of pairs D finds
        the real image more real: the one score that every loss has."""
        real, fake = ([getattr(part, name) for part in parts] for name in ("real_logits", "fake_logits"))
        step.real_logits, step.fake_logits = (torch.cat([per_image(part) for part in each]) for each in (real, fake))
        self.pending["health/accuracy"].append((step.real_logits > step.fake_logits).float().mean())
        if hasattr(self.augment, "feedback"):
            self.pending["health/augment"].append(self.augment.feedback(step))

    def generator_loss(self, step: Step) -> dict[str, Tensor]:
        """Named terms of G's loss; their sum is minimized."""
        step.fake_logits = step.critic(step.fake)
        if self.loss.needs_real_logits:
            with torch.no_grad():
                step.real_logits = step.critic(step.real)
        loss = self.loss.generator(step.real_logits if self.loss.needs_real_logits else None, step.fake_logits)
        return {"loss/generator": loss, **self.penalty_terms("generator", step)}

    def penalty_terms(self, of: str, step: Step) -> dict[str, Tensor]:
        """Penalties of one network, each multiplied by `every` where it is due, of its updates, and 0 elsewhere."""
        updates = step.batch // self.n_critic if of == "generator" else step.batch
        return {
            f"penalty/{name}": penalty.interval * penalty(step)
            if updates % penalty.interval == 0
            else step.real.new_zeros(())
            for name, penalty in self.penalties.items()
            if penalty.network == of
        }

    def move(
        self, of: str, optimizer: LightningOptimizer, losses: Iterable[dict[str, Tensor]], shares: Sequence[float]
    ) -> None:
        """Zero, backward through the mean over the parts, step, remember the terms: the one place where weights change.

        Args:
            of: the network's name.
            losses: named terms of each part, made when they are asked for, so that one part's graph is there at a time.
            shares: of the batch that each part is.
        """
        optimizer.zero_grad()
        means: dict[str, Tensor] = {}
        for terms, share in zip(losses, shares, strict=True):
            # What was computed in fp32 goes backward in fp32 too: in autocast, products of it would be halved again.
            with torch.autocast(self.device.type, enabled=False):
                self.manual_backward(functools.reduce(torch.add, terms.values()) * share)
            for name, term in terms.items():
                means[name] = means.get(name, 0) + term.detach() * share
        self.step_if_finite(of, optimizer)
        for name, mean in means.items():
            self.pending[name].append(mean)

    def step_if_finite(self, of: str, optimizer: LightningOptimizer) -> None:
        """Leave the weights alone where a gradient is not finite, and count it; a gradient scaler leaves them too."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        skip = 1 - torch.nn.utils.get_total_norm(gradients).isfinite().float()
        self.pending[SKIPPED + of].append(skip)
        fused = optimizer.defaults.get("fused")
        if self.scaler is None and fused:  # its kernel asks on the device, so that nobody waits for the answer
            optimizer.optimizer.found_inf = skip  # type: ignore[attr-defined]
        elif self.scaler is None and skip:
            optimizer.zero_grad()  # a step without gradients moves nothing, and is counted
        optimizer.step()

    @property
    def scaler(self) -> Any:
        """Of fp16's gradients; None where there is none."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def lightning_optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        generator_optimizer, discriminator_optimizer = self.optimizers()  # type: ignore[attr-defined]
        return generator_optimizer, discriminator_optimizer

    def log_losses(self) -> None:
        """Send the averages since the last line to the loggers: the one moment at which the device is waited for.

        A loss that was not finite for once is left out of them.

        Raises:
            Diverged: a loss, or a network's gradients, have not been finite since the last line.
        """
        self.losses = {name: finite_mean(torch.stack(terms)) for name, terms in self.pending.items()}
        self.pending.clear()
        now, (then, seen) = time.monotonic(), self.logged
        self.logged = now, self.images_seen
        speed = {"time/images_per_second": (self.images_seen - seen) / (now - then)} if then else {}
        self.log_scalars({**self.losses, **speed})
        bad = ", ".join(f"{name} is {value}" for name, value in self.losses.items() if not math.isfinite(value))
        bad = bad or ", ".join(
            f"no gradient of the {name.removeprefix(SKIPPED)} is finite"
            for name, share in self.losses.items()
            if name.startswith(SKIPPED) and share == 1 and (self.scaler is None or self.scaler.get_scale() < 1)
        )
        if self.trainer.strategy.reduce_boolean_decision(bool(bad), all=False):  # on any rank: all end together
            what = bad or "a loss of another device is not finite"
            raise Diverged(f"training diverged: {what} at {self.images_seen} images; lower the learning rate")

    def log_scalars(self, scalars: Mapping[str, float]) -> None:
        """Log against images seen, past Lightning's own collection, which counts batches and keeps fp32 steps."""
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(scalars), step=self.images_seen)

    def averaged_generator(self) -> nn.Module:
        """The EMA generator in eval mode, its BatchNorm statistics estimated for the weights it has now."""
        if self.estimated_at != self.images_seen:
            reestimate_batch_norm(self.ema.module, self.generator.latent_dim, self.class_counts)
            self.estimated_at = self.images_seen
        return self.ema.module

    def preview(self, n: int) -> Tensor:
        """The n pictures that callbacks draw: fixed latents, uint8 (n, C, H, W).

        With classes as many of each as go into n, one class after the other, and the same latents for all.
        """
        classes = len(self.class_counts)
        if not classes:
            return self.draw(range(PREVIEW_SEED, PREVIEW_SEED + n), self.averaged_generator())
        each = max(1, n // classes)
        label = torch.arange(min(n, classes)).repeat_interleave(each)
        z = latents(range(PREVIEW_SEED, PREVIEW_SEED + each), self.generator.latent_dim).repeat(min(n, classes), 1)
        return generate(self.averaged_generator(), z, label)

    def columns(self, n: int) -> int | None:
        """Pictures in a row of a grid of `preview`: a class; None is as many as make it square."""
        classes = len(self.class_counts)
        return n // classes if classes else None

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        """Of the n pictures that callbacks measure those of a rank: rank, rank + ranks, ...; uint8 (share, C, H, W).

        average: one of `averages` in place of the first.
        """
        seeds = range(FAKES_SEED + rank, FAKES_SEED + n, ranks)
        if average is None:
            return self.draw(seeds, self.averaged_generator())
        reestimate_batch_norm(average.module, self.generator.latent_dim, self.class_counts)
        return self.draw(seeds, average.module)

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """What else there is to say of all of `fakes`, besides their likeness to real images."""
        return {}

    def most(self, n: int) -> int:
        """How many of n pictures there are to measure."""
        return n

    def fake_labels(self, n: int) -> Tensor | None:
        """The classes (n,) of all of `fakes`; None without classes."""
        return classes_of(range(FAKES_SEED, FAKES_SEED + n), self.class_counts)

    def draw(self, seeds: range, network: nn.Module) -> Tensor:
        label = classes_of(seeds, self.class_counts)
        return generate(network, latents(seeds, self.generator.latent_dim), label)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = self.config
        checkpoint["images"] = self.images_seen
        if len(self.class_counts):
            checkpoint["classes"] = self.trainer.datamodule.classes  # type: ignore[attr-defined]
        checkpoint["pending"] = {name: torch.stack(terms) for name, terms in self.pending.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.pending = defaultdict(list, {name: list(terms) for name, terms in checkpoint["pending"].items()})


def finite_mean(terms: Tensor) -> float:
    """The mean of what is finite; nan where nothing is."""
    return float(terms[terms.isfinite()].mean())


def seed_global(device: torch.device, seed: int) -> None:
    """Seed the generators that training draws from; torch.manual_seed would visit those of every absent device too,
    and note a stack trace for each: half a millisecond a batch."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
