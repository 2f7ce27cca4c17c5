"""The parts and the state of a GAN during training; `gan.training.module` has the training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning import LightningModule
from torch import nn
from torch.optim import Optimizer

from gan import kinds
from gan.contracts import Augment, Discriminator, Generator, LatentStep, Loss, Penalty, Step, check, check_step
from gan.networks.torus import make_seamless
from gan.runs.checkpoint_file import FORMAT, LICENSES
from gan.training import memory
from gan.training.ema import EMA
from gan.training.loss_log import LossLog
from gan.training.schedules import flattened
from gan.training.view import LatentView
from gan.utils.errors import UserError, at_least
from gan.utils.torch_runtime import compile_in_place

NETWORKS = ("generator", "discriminator")  # in the order of their optimizers


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a training has besides its parts. conf/gan.yaml has the options of the same names."""

    batch_size: int  # over all ranks
    seed: int = 0
    n_critic: int = 1
    # `images seen -> value` for options of an optimizer, {"generator_optimizer": {"lr": ...}}, or for attributes of a
    # part, {"penalties": {"r1": {"weight": ...}}} or {"ema": {"half_life": ...}}
    schedules: Mapping[str, Any] | None = None
    log_interval: int = 1_000
    # The average of the generator, see `gan.training.ema`
    ema_half_life: float = 5_000
    ema_warmup: float = 0.05
    # Memory and speed; None: what fits, see `gan.training.memory`. BatchNorm and minibatch standard deviation use the
    # images of one micro-batch.
    micro_batch: int | None = None
    compile: str | None = None
    # Axes along which images wrap around, see `gan.networks.torus`
    seamless: str | None = None
    # Layers that keep the weights of another model, from which the run starts
    freeze: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        at_least("model.n_critic", self.n_critic, 1)
        at_least("model.log_interval", self.log_interval, 1)
        if self.micro_batch is not None:
            at_least("model.micro_batch", self.micro_batch, 1)


class Base(LightningModule):
    """A generator, a discriminator, and the parts that train them.

    Args:
        generator, discriminator, loss, penalties, augment: see `gan.contracts`.
        generator_optimizer, discriminator_optimizer: called with the parameters, return an Optimizer.
        options: see `TrainingOptions`.
    """

    generator: Any  # nn.Module would hide the members of the contracts
    discriminator: Any
    loss: Any
    penalties: Any
    augment: Any
    generator_contract: type = Generator
    step_type: type[Step] = LatentStep  # the class of the step that `make_step` returns; penalties may need one
    needs_pairs = False  # whether each image of the data must have its ground truth
    judges_alone = True  # whether the discriminator sees an image without the input of the translation
    view_type: type[LatentView] = LatentView

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: nn.Module,
        generator_optimizer: Callable[..., Optimizer],
        discriminator_optimizer: Callable[..., Optimizer],
        *,
        penalties: Mapping[str, nn.Module] | None = None,
        augment: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        given = TrainingOptions(**options)
        self.automatic_optimization = False
        if given.seamless and kinds.of_network(generator) is kinds.TRANSLATOR:
            raise UserError("model.seamless: needs a generator; for a translator, use gan translate --seamless")
        if given.seamless:
            make_seamless(generator, given.seamless), make_seamless(discriminator, given.seamless)
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.penalties = nn.ModuleDict(dict(penalties or {}))
        self.augment = augment
        check(generator, self.generator_contract, "model.generator")
        check_parts(discriminator, loss, self.penalties, augment, self.step_type)
        # Names of the layers that keep their weights, for each network
        self.frozen = {role: freeze(getattr(self, role), role, number) for role, number in (given.freeze or {}).items()}
        self.ema = EMA(generator, given.ema_half_life, given.ema_warmup)
        self.optimizer_factories = generator_optimizer, discriminator_optimizer
        self.batch_size, self.seed, self.n_critic = given.batch_size, given.seed, given.n_critic
        self.schedules: dict[str, Callable[[int], Any]] = flattened(given.schedules)
        self.micro_batch = given.micro_batch
        self.divided = False  # whether `micro_batch` is final: it is chosen before the first step of a run
        self.compile_with = given.compile
        self.log_interval = given.log_interval
        self.loss_log = LossLog()
        self.view = self.view_type(self)  # the images that callbacks show and measure
        self.config: dict[str, Any] = {}  # the run's resolved configuration, for the checkpoint
        self.interrupted = False  # by a signal; the run will be resumed
        counts = torch.zeros(getattr(generator, "classes", 0))
        self.class_counts = nn.Buffer(counts, persistent=len(counts) > 0)  # images of each class
        self.to(memory_format=torch.channels_last)  # convolutions in bf16 are 1.2 to 1.9 times as fast on a CPU

    # ---- Optimizers

    def configure_optimizers(self) -> list[Optimizer]:
        try:
            made = [make(self.trained(name)) for make, name in zip(self.optimizer_factories, NETWORKS, strict=True)]
        except (TypeError, ValueError) as error:
            raise UserError(f"model.generator_optimizer or discriminator_optimizer: {error}") from error
        self.optimizer_options = [[options_of(group) for group in optimizer.param_groups] for optimizer in made]
        return made

    def trained(self, network: str) -> list[nn.Parameter]:
        return [parameter for part in self.trained_parts(network) for parameter in part.parameters()]

    def trained_parts(self, network: str) -> list[nn.Module]:
        return [getattr(self, network), *(part for part in self.penalties.values() if part.network == network)]

    # ---- Start and end

    def check_data(self, data: Any) -> None:
        """Raise UserError where the data is not what the model is trained on."""
        if kinds.of_data(data) is kinds.TRANSLATOR:
            raise UserError("model: this generator takes latents, not images to translate; use data=folder")
        self.check_pairs(data)

    def check_pairs(self, data: Any) -> None:
        """Raise UserError where the model or a penalty needs pairs, and the data has none."""
        needs_pairs = self.needs_pairs or any(part.needs_pairs for part in self.penalties.values())
        if needs_pairs and not data.aligned:
            pairs = "data=paired or data=retro_filter data.pairing=paired"
            raise UserError(f"pix2pix and penalty=reconstruction need pairs: use {pairs}")

    def initialize_from(self, data: Any) -> None:
        """Set weights of a new model from the data."""

    def on_fit_start(self) -> None:
        if not self.divided:
            self.micro_batch = memory.choose(self, self.trainer)  # before compilation, since it copies the model
            self.divided = True
        if self.compile_with is not None:
            compile_in_place(self.compile_with, self.generator, self.discriminator)
        if len(self.class_counts):
            self.class_counts.copy_(self.data.class_counts())
        self.loss_log.to(self.device)

    def on_train_start(self) -> None:
        """Apply the options of the optimizers: their states are those of the checkpoint, and options may be changed."""
        self.check_optimizers()
        known = self.trainer.optimizers[: len(self.optimizer_options)]  # a subclass may have further ones
        for optimizer, options in zip(known, self.optimizer_options, strict=True):
            for group, group_options in zip(optimizer.param_groups, options, strict=True):
                group.update(group_options)

    def on_train_end(self) -> None:
        """Log the losses since the last line. A run that is resumed logs them later."""
        if self.trainer.loggers and self.loss_log.pending and not self.interrupted:
            self.log_losses()

    def check_optimizers(self) -> None:
        """Raise UserError if weights of a subclass are in no optimizer, which would never train them."""
        groups = (group for optimizer in self.trainer.optimizers for group in optimizer.param_groups)
        optimized = {weight for group in groups for weight in group["params"]}
        for name, weight in self.named_parameters():
            if weight.requires_grad and weight not in optimized:
                raise UserError(
                    f"{type(self).__name__}.{name}: no optimizer updates it; add one in configure_optimizers"
                )

    def check_updates(self) -> None:
        """Raise UserError if a further optimizer of a subclass has updated nothing: `update` freezes its weights."""
        for optimizer in self.trainer.optimizers[len(NETWORKS) :]:
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            if not optimizer.state and all(weight.grad is None for weight in weights):
                name = next(name for name, weight in self.named_parameters() if weight is weights[0])
                raise UserError(f"{type(self).__name__}.{name}: its optimizer got no gradient; add an update for it")

    # ---- Log

    @property
    def images_seen(self) -> int:
        """Real images that the discriminator has seen, over all ranks."""
        return self.trainer.global_step * self.batch_size

    def log_losses(self) -> None:
        """Log the means since the last line; raise Diverged on all ranks if they show that training has failed."""
        self.log_scalars(self.loss_log.line(self.images_seen))
        self.loss_log.check(self.trainer, self.images_seen)
        self.check_updates()

    def log_scalars(self, scalars: Mapping[str, float]) -> None:
        """Log against images seen. Lightning's own `log` counts steps and keeps them in fp32."""
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(scalars), step=self.images_seen)

    @property
    def data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    # ---- Checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["format"] = FORMAT
        checkpoint["config"] = self.config
        checkpoint["images"] = self.images_seen
        checkpoint["division"] = {"micro_batch": self.micro_batch}
        if len(self.class_counts):
            checkpoint["classes"] = self.data.classes
        checkpoint["pending"] = self.loss_log.state_dict()
        checkpoint |= self.view.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Losses since the last line: the resumed run logs the same means as one that was not interrupted.
        self.loss_log.load_state_dict(checkpoint["pending"])
        self.view.load_state_dict(checkpoint)
        # The licenses are those of the start, which need not exist any more.
        self.config |= {name: value for name, value in checkpoint["config"].items() if name == LICENSES}
        # Path length and LeCam count micro-batches, so that another size would give other results.
        if self.micro_batch is None:
            self.micro_batch = checkpoint["division"]["micro_batch"]
        self.divided = True


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def check_parts(
    discriminator: nn.Module, loss: Any, penalties: Mapping[str, Any], augment: Any, step_type: type[Step]
) -> None:
    """Raise UserError if a part lacks a member of its contract, or if two parts are incompatible."""
    check(discriminator, Discriminator, "model.discriminator")
    check(loss, Loss, "loss")
    for name, penalty in penalties.items():
        check(penalty, Penalty, f"penalty.{name}")
        check_step(penalty, step_type, name)
    if augment is not None:
        check(augment, Augment, "augment")
    if augment is not None and augment.feedback and not loss.signed_logits:
        why = f"augment=ada and apa adapt to the sign of D(real), which has no meaning with loss {type(loss).__name__}"
        raise UserError(f"{why}; use augment=r3gan or augment=diffaugment")


# ---- Layers that keep their weights


def layers(network: nn.Module) -> list[str]:
    """Return the names of the layers of a network in order; each block of a list is one layer, such as blocks.0.

    A parameter of the network itself, such as a constant, counts as a layer.
    """
    names = [name for name, _ in network.named_parameters(recurse=False)]
    for name, part in network.named_children():
        parts = [f"{name}.{number}" for number in range(len(part))] if isinstance(part, nn.ModuleList) else [name]
        names += [each for each in parts if any(True for _ in network.get_submodule(each).parameters())]
    return names


def freeze(network: nn.Module, role: str, number: int) -> list[str]:
    """Freeze the first layers of a network, so that a start from another model forgets less, and return their names.

    Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020, arXiv:2002.10964.

    Args:
        role: "generator" or "discriminator", for messages.
        number: number of layers, in the order of `layers`.
    """
    known = layers(network)
    if at_least(f"freeze.{role}", number, 0) >= max(len(known), 1):
        raise UserError(f"freeze.{role}={number}: must be less than {len(known)}; the layers are {', '.join(known)}")
    names = known[:number]
    for name, parameter in network.named_parameters():
        if any(is_in(name, layer) for layer in names):
            parameter.requires_grad_(False)
    return names


def is_in(name: str, layer: str) -> bool:
    return f"{name}.".startswith(f"{layer}.")
