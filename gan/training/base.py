"""The parts and the state of a GAN during training; `gan.training.module` has the training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lightning import LightningModule
from torch import nn
from torch.optim import Optimizer

from gan.common.errors import UserError, at_least, fraction, switch
from gan.common.output import print_line
from gan.common.torch_runtime import compile_in_place
from gan.networks.checkpointing import checkpoint_blocks
from gan.run.checkpoint_file import FORMAT
from gan.training.check_parts import check_parts
from gan.training.ema import EMA, PowerEMA
from gan.training.freeze import freeze as freeze_layers
from gan.training.loss_log import LossLog
from gan.training.memory import Division
from gan.training.previews import Previews
from gan.training.restoring import check_like, check_optimizers, restoring
from gan.training.schedules import flattened

NETWORKS = ("generator", "discriminator")  # in the order of their optimizers


class Base(Previews, LightningModule):
    """A generator, a discriminator, and the parts that train them.

    Args:
        generator, discriminator, loss, penalties, augment: see `gan.contracts`.
        generator_optimizer, discriminator_optimizer: called with the parameters, return an Optimizer.
        batch_size: images per batch, over all ranks.
        seed: seed of latents, augmentation and all other random numbers of training.
        n_critic: discriminator updates per generator update.
        ema_half_life: half-life of the EMA generator, in images.
        ema_warmup: the half-life is at most this fraction of the images seen.
        log_interval: images between two lines of losses, which are means over the interval.
        schedules: functions `images seen -> value` for options of an optimizer, {"generator_optimizer": {"lr": ...}},
            or for attributes of a part, {"penalties": {"r1": {"weight": ...}}} or {"ema": {"half_life": ...}}.
        micro_batch: images per forward pass on a device. Gradients are accumulated over the micro-batches of a batch.
            BatchNorm and minibatch standard deviation use the images of one micro-batch. None: the batch; on CUDA the
            largest part of it that fits (`gan.training.memory`).
        power_ema: widths of additional averages of the generator (`PowerEMA`), compared at the end of the run.
        checkpoint_blocks: recompute the activations of the networks' blocks in the backward pass. None: False; on CUDA
            True if a step does not fit otherwise.
        compile: backend of torch.compile for both networks; None disables compilation.
        freeze: for each network a number of layers or their names, see `gan.training.freeze`.
        kept_lr_factor: factor on the learning rates of weights that are kept from another model.

    Raises:
        UserError: a part lacks a member, parts are incompatible, a count is less than 1, or both checkpoint_blocks and
            compile are set.
    """

    generator: Any  # nn.Module would hide the members of the contracts
    discriminator: Any
    loss: Any
    penalties: Any
    augment: Any
    needs_pairs = False  # whether each image of the data must have its ground truth
    judges_alone = True  # whether the discriminator sees an image without the input of the translation

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
        checkpoint_blocks: bool | None = None,
        power_ema: Sequence[float] = (),
        compile: str | None = None,
        freeze: Mapping[str, int | Sequence[str]] | None = None,
        kept_lr_factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.loss = loss
        self.penalties = nn.ModuleDict(dict(penalties or {}))
        self.augment = augment
        check_parts(generator, discriminator, loss, self.penalties, augment)
        self.frozen = self.freeze_all(freeze or {})
        self.kept: dict[str, list[str]] = {}  # names of the parameters of each network that another model had
        self.kept_lr_factor = fraction("model.kept_lr_factor", kept_lr_factor)
        self.separates_kept = True  # False in runs of versions that had one parameter group if kept_lr_factor was 1
        self.ema = EMA(generator, ema_half_life, ema_warmup)
        self.power_ema = nn.ModuleList(PowerEMA(generator, width) for width in power_ema)
        self.optimizer_factories = generator_optimizer, discriminator_optimizer
        self.batch_size = batch_size
        self.seed = seed
        self.n_critic = at_least("model.n_critic", n_critic, 1)
        self.log_interval = at_least("model.log_interval", log_interval, 1)
        self.schedules: dict[str, Callable[[int], Any]] = flattened(schedules)
        self.micro_batch = None if micro_batch is None else at_least("model.micro_batch", micro_batch, 1)
        if checkpoint_blocks is not None:
            switch("model.checkpoint_blocks", checkpoint_blocks)
        if compile is not None and checkpoint_blocks:
            raise UserError("model.checkpoint_blocks=true and model.compile exclude each other; set only one of them")
        self.checkpoint_blocks = checkpoint_blocks
        self.compile_with = compile
        self.division = Division(self.micro_batch, bool(checkpoint_blocks))
        self.loss_log = LossLog()
        self.config: dict[str, Any] = {}  # the run's resolved configuration, for the checkpoint
        counts = torch.zeros(getattr(generator, "classes", 0))
        self.register_buffer("class_counts", counts, persistent=len(counts) > 0)  # images of each class
        self.to(memory_format=torch.channels_last)  # convolutions in bf16 are 1.2 to 1.9 times as fast on a CPU

    def freeze_all(self, given: Any) -> dict[str, list[str]]:
        """Freeze layers of both networks, and return their names for each network."""
        if not isinstance(given, Mapping) or not given.keys() <= set(NETWORKS):
            raise UserError(f"model.freeze={given}: set freeze.generator or freeze.discriminator")
        return {role: freeze_layers(getattr(self, role), role, layers) for role, layers in given.items()}

    def configure_optimizers(self) -> list[Optimizer]:
        try:
            found = [make(self.groups(name)) for make, name in zip(self.optimizer_factories, NETWORKS, strict=True)]
        except (TypeError, ValueError) as error:
            raise UserError(f"model.generator_optimizer or discriminator_optimizer: {error}") from error
        for group in (group for optimizer in found for group in optimizer.param_groups):
            group["lr"] *= group["lr_factor"]
        self.optimizer_options = [[options_of(group) for group in optimizer.param_groups] for optimizer in found]
        return found

    def groups(self, network: str) -> list[dict[str, Any]]:
        """Return the parameter groups of a network's optimizer. lr_factor is the factor on the learning rate."""
        kept = {id(getattr(self, network).get_parameter(name)) for name in self.kept.get(network, ())}
        parameters = self.trained(network)
        if not kept or not self.separates_kept:
            return [{"params": parameters, "lr_factor": 1.0}]
        new, old = ([p for p in parameters if (id(p) in kept) == is_old] for is_old in (False, True))
        groups = ({"params": new, "lr_factor": 1.0}, {"params": old, "lr_factor": self.kept_lr_factor})
        return [group for group in groups if group["params"]]

    def trained(self, network: str) -> list[nn.Parameter]:
        """Parameters of a network and of its penalties."""
        return [parameter for part in self.trained_parts(network) for parameter in part.parameters()]

    def trained_parts(self, network: str) -> list[nn.Module]:
        """A network and its penalties, which its optimizer updates."""
        return [getattr(self, network), *(part for part in self.penalties.values() if part.network == network)]

    @property
    def start_name(self) -> str:
        """Return what training starts from, for messages."""
        return "the model of init_from" if self.config.get("init_from") else "the untrained network"

    @property
    def saves_start(self) -> bool:
        """Whether the scores before training can be the best, so that the model is also saved then."""
        return bool(self.config.get("init_from"))

    def on_fit_start(self) -> None:
        if self.compile_with is not None:
            compile_in_place(self.compile_with, self.generator, self.discriminator)
        if len(self.class_counts):
            self.class_counts.copy_(self.data.class_counts())
        self.loss_log.to(self.device)

    def on_train_start(self) -> None:
        """Apply the options of the optimizers, which may be changed on resume, and the division of rank 0."""
        for optimizer, options in zip(self.trainer.optimizers, self.optimizer_options, strict=True):
            for group, own in zip(optimizer.param_groups, options, strict=True):
                group.update(own)
        self.division = self.trainer.strategy.broadcast(self.division)
        self.micro_batch = self.division.micro_batch
        if self.division.checkpoint_blocks:
            checkpoint_blocks(self.generator)
            checkpoint_blocks(self.discriminator)

    @property
    def images_seen(self) -> int:
        """Real images that the discriminator has seen, over all ranks."""
        return self.trainer.global_step * self.batch_size

    def log_losses(self) -> None:
        """Log the means since the last line; raise Diverged on all ranks if they show that training has failed."""
        self.log_scalars(self.loss_log.line(self.images_seen))
        self.loss_log.check(self.trainer, self.images_seen)

    def log_scalars(self, scalars: Mapping[str, float]) -> None:
        """Log against images seen. Lightning's own `log` counts steps and keeps them in fp32."""
        for logger in self.trainer.loggers:
            logger.log_metrics(dict(scalars), step=self.images_seen)

    def check_data(self, data: Any) -> None:
        """Raise UserError where the data is not what the model is trained on."""
        if hasattr(data, "inputs"):
            raise UserError("model: this generator takes latents, not images to translate; use data=folder")
        self.check_pairs(data)

    def check_pairs(self, data: Any) -> None:
        """Raise UserError where the model or a penalty needs pairs, and the data has none."""
        needs_pairs = self.needs_pairs or any(getattr(part, "needs_pairs", False) for part in self.penalties.values())
        if needs_pairs and not getattr(data, "aligned", False):
            raise UserError(
                "pix2pix and penalty=reconstruction need pairs: use data=paired or "
                "data=retro_filter data.pairing=paired"
            )

    def initialize_from(self, data: Any) -> None:
        """Set weights of a new model from the data."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["format"] = FORMAT
        checkpoint["config"] = self.config
        checkpoint["images"] = self.images_seen
        checkpoint["division"] = self.division.state_dict()
        if len(self.class_counts):
            checkpoint["classes"] = self.data.classes
        checkpoint["pending"] = self.loss_log.state_dict()
        if self.kept:
            checkpoint["kept"] = self.kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        with restoring("pending"):
            self.loss_log.load_state_dict(checkpoint["pending"])
        with restoring("kept"):
            self.kept = {str(role): [str(name) for name in names] for role, names in checkpoint.get("kept", {}).items()}
        with restoring("optimizer_states"):
            stored = max(len(state["param_groups"]) for state in checkpoint["optimizer_states"])
            self.separates_kept = stored > 1 or self.kept_lr_factor != 1
            groups = [self.groups(name) for name in NETWORKS]
        if self.kept and stored < max(map(len, groups)):
            raise UserError("model.kept_lr_factor: cannot be changed in this run, which has one rate for all weights")
        with restoring("loops"):
            check_like(checkpoint["loops"]["fit_loop"], self.trainer.fit_loop.state_dict())
        with restoring("optimizer_states"):
            parameters = [[p for group in each for p in group["params"]] for each in groups]
            check_optimizers(checkpoint["optimizer_states"], parameters)
        division = Division.load(checkpoint["division"])
        self.division = division.with_options(self.micro_batch, self.checkpoint_blocks)
        if self.division.needed is not None and self.trainer.strategy.root_device.type == "cuda":
            print_line(f"memory: {self.division.describe(self.batch_size // self.trainer.world_size)}")


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a parameter group, such as its learning rate."""
    return {name: value for name, value in group.items() if name != "params"}
