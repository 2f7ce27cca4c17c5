"""One run, from built parts to the number that a sweep minimizes."""

from __future__ import annotations

import logging
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import Timer
from omegaconf import DictConfig
from torch.nn.modules.batchnorm import _BatchNorm

from gan.common.errors import Diverged, UserError
from gan.data.module import ImageDataModule, say
from gan.data.sampler import per_rank_batch_size
from gan.run import ranks, run_folder
from gan.run.checkpoint_io import AtomicCheckpointIO, load
from gan.run.config import global_rank, images_at, is_child, plain
from gan.training.callbacks.checkpoint import Checkpoint, best_of
from gan.training.callbacks.interrupt import Interrupt, end_gatherers
from gan.training.loggers import JSONLines, TensorBoard
from gan.training.module import GAN
from gan.training.schedules import drop_overridden_schedules

# What Lightning says of every run of this kind, and what it does not know.
EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # batches are gathered from memory
    ".*in eval mode at the start of training.*",  # the averaged generator
    ".*no pre-optimization state.*",  # Lightning #20947
    ".*find_unused_parameters=True was specified.*",  # each phase uses one of two networks
    ".*all_gather is deprecated.*",  # which Lightning calls
    ".*isinstance\\(treespec, LeafSpec\\).*",  # Lightning 2.6 on torch 2.13
)


def fit(
    cfg: DictConfig,
    model: GAN,
    data: ImageDataModule,
    make_trainer: Callable[..., Trainer],
    run: Path,
    notes: Sequence[str] = (),
) -> float:
    """Train to `images` or `minutes`, in the run folder; exit 143 or 130 where SIGTERM or Ctrl-C ended it.

    Args:
        notes: lines about the configuration, to be said.

    Returns:
        The objective; inf where the run diverged in a sweep or nothing was evaluated.

    Raises:
        Diverged: outside of a sweep.
        UserError: the last checkpoint could not be saved, or a part was configured wrongly.
    """
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # what it says of devices, `announce` says shorter
    child = is_child()  # asked now: Lightning makes the parent's environment look like a child's
    model.check_data(data)
    model.config = plain(cfg)
    storage, interrupt = AtomicCheckpointIO(), Interrupt()
    trainer = build(cfg, data, run, make_trainer, storage, interrupt)
    if cfg.init_from and not cfg.resume:
        initialize(model, Path(cfg.init_from))
    announce(trainer, model, data, run)
    for line in (*notes, *drop_overridden_schedules(model.schedules, HydraConfig.get().overrides.task)):
        say(line)
    prepare(trainer, data)
    if trainer.is_global_zero and not cfg.init_from and not cfg.resume:
        model.initialize_from(data)  # other ranks receive it from this one
    if trainer.is_global_zero and not cfg.resume:
        show_config(trainer, model.config, run_folder.choices(run))
    try:
        trainer.fit(model, data, ckpt_path=cfg.resume)
    except Diverged as error:
        if child:  # Lightning kills the parent of a child that ends with another code than 0
            return math.inf
        if HydraConfig.get().mode is not RunMode.MULTIRUN:
            raise
        print(f"{run}: {error}", flush=True)
        return math.inf
    except (Exception, SystemExit) as error:
        if interrupt.at_once:
            print(f"stopped at once, without saving; go on with: python train.py resume={run}", flush=True)
            sys.exit(128 + interrupt.signal)
        if isinstance(error.__context__, KeyboardInterrupt):  # before the first batch; Lightning makes it a 1
            sys.exit(130)
        if isinstance(error, Exception) and ranks.lost(error):
            raise ranks.gone(run) from error
        raise
    finally:
        end_gatherers()
        if dist.is_initialized():
            dist.destroy_process_group()
    if child:
        return math.inf  # nobody reads it
    if storage.failure:
        raise UserError(storage.failure)
    if interrupt.signal:
        print(f"stopped at {model.images_seen:,} images; go on with: python train.py resume={run}", flush=True)
        sys.exit(128 + interrupt.signal)
    return objective(run, cfg)


def build(
    cfg: DictConfig,
    data: ImageDataModule,
    run: Path,
    make_trainer: Callable[..., Trainer],
    storage: AtomicCheckpointIO,
    interrupt: Interrupt,
) -> Trainer:
    """The Trainer with all that hangs on it."""
    parts = callbacks(cfg.callback)
    saves = any(isinstance(part, Checkpoint) for part in parts)
    if not saves and global_rank() == 0:
        print("callback= leaves checkpoint out: nothing of this run can be resumed or drawn from", flush=True)
    try:
        return make_trainer(
            max_steps=-1 if cfg.images is None else -(-cfg.images // data.batch_size),
            callbacks=[interrupt, *timers(cfg.minutes), *parts],
            logger=[*map(instantiate, cfg.logger.values()), JSONLines(str(run), images_at(cfg.resume))],
            plugins=[storage],
            default_root_dir=str(run),
            enable_checkpointing=saves,
        )
    except (TypeError, ValueError) as error:
        raise UserError(f"trainer: {error}") from error


def objective(run: Path, cfg: DictConfig) -> float:
    """The number that a sweep minimizes; a name that was never logged is said."""
    value = run_folder.objective(run, cfg.objective, cfg.objective_mode)
    if value == math.inf:
        lines = run_folder.read_metrics(run / run_folder.METRICS)
        names = sorted({name for line in lines for name in line} - {"images", "time"})
        if cfg.objective not in names:
            print(f"objective={cfg.objective} was not logged; there are {', '.join(names)}", flush=True)
    return value


def timers(minutes: float | None) -> list[Callback]:
    return [] if minutes is None else [Timer(duration=timedelta(minutes=minutes))]


def callbacks(configured: DictConfig) -> list[Any]:
    return [instantiate(callback) for callback in configured.values()]


def show_config(trainer: Trainer, config: dict[str, Any], choices: dict[str, Any]) -> None:
    """The whole configuration under TensorBoard's TEXT, and what differs from the defaults under HPARAMS."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoard):
            logger.add_text("config", f"```yaml\n{yaml.safe_dump(config, sort_keys=False)}\n```")
            logger.add_choices(choices, best_of(config["objective"]))


def prepare(trainer: Trainer, data: ImageDataModule) -> None:
    """Fill the cache before further processes start: what a user can mend then ends one process, not several."""
    per_rank_batch_size(data.batch_size, trainer.world_size)
    if trainer.is_global_zero:
        data.prepare_data()


def initialize(model: GAN, source: Path) -> None:
    """Take the weights of a run's best checkpoint, or of a checkpoint, and nothing else of it.

    Raises:
        UserError: there is none, or it comes from another model.
    """
    state = load(run_folder.find(source))["state_dict"]
    state |= {name: value for name, value in model.state_dict().items() if name.startswith("pools.")}  # no weights
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        detail = " ".join(str(error).split("\n\t")[1].split())
        raise UserError(f"init_from={source}: comes from another model; {detail}") from error


def announce(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> None:
    if not trainer.is_global_zero:
        return
    counts = [
        f"{name} {sum(p.numel() for p in network.parameters()):,}"
        for name, network in (("generator", model.generator), ("discriminator", model.discriminator))
    ]
    device = f"{trainer.num_devices} x {trainer.strategy.root_device.type}"
    print(f"{run}: {', '.join(counts)} parameters; batch {data.batch_size}; {device}, {trainer.precision}", flush=True)
    normalized = any(isinstance(part, _BatchNorm) for part in model.modules())
    if normalized and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        print("BatchNorm sees each CPU process's share of the batch; torch synchronises it on GPUs alone", flush=True)
    if model.config["data"].get("labels") and not len(model.class_counts):
        print("this model draws no class that is asked for; data.labels is left aside", flush=True)
