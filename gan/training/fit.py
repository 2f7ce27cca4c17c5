"""Run a training: from instantiated parts to the objective of a sweep."""

from __future__ import annotations

import functools
import logging
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig
from torch.nn.modules.batchnorm import _BatchNorm

from gan.common.errors import Diverged, UserError, train_command
from gan.common.option_values import check_cpu_devices
from gan.common.output import print_line
from gan.common.processes import global_rank, is_child
from gan.data.module import ImageDataModule
from gan.data.sampler import per_rank_batch_size
from gan.data.translation import has_held_out
from gan.run import checkpoints, ranks, requeue, run_folder
from gan.run.address import locate
from gan.run.checkpoint_io import AtomicCheckpointIO, BackgroundCheckpointIO, nothing
from gan.run.config import to_plain
from gan.run.early_checks import PRECISIONS
from gan.run.metrics import first_scored, logged_objective, read_metrics
from gan.run.resolvers import images_at
from gan.training import disk, memory
from gan.training.callbacks.agreement import Agreement
from gan.training.callbacks.checkpoint import Checkpoint, best_of
from gan.training.callbacks.estimate import Estimate
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.interrupt import Interrupt, kill_workers
from gan.training.callbacks.progress import ProgressLine
from gan.training.callbacks.training_time import TrainingTime, clock_of, paused
from gan.training.expected_warnings import EXPECTED_WARNINGS
from gan.training.loggers.background import Background
from gan.training.loggers.json_lines import JSONLines
from gan.training.module import GAN
from gan.training.next_steps import describe_gain, describe_resumed, describe_time, next_steps
from gan.training.restoring import damage
from gan.training.schedules import drop_overridden_schedules
from gan.training.start import start_from
from gan.training.upload import Upload

SCORE = "eval/"  # begin of the logged names of scores


def fit(
    cfg: DictConfig,
    model: GAN,
    data: ImageDataModule,
    make_trainer: Callable[..., Trainer],
    run: Path,
    notes: Sequence[str] = (),
) -> float:
    """Train to `images` or `minutes`, and return the objective; exit with 128 + its number after a signal, such as 130.

    Args:
        notes: lines about the configuration, which are printed.

    Returns:
        The objective; inf if there was no evaluation.

    Raises:
        Diverged: training has diverged.
        UserError: the last checkpoint could not be saved, or a part has a wrong configuration.
    """
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # `print_summary` names the devices
    child = is_child()  # before Lightning gives the parent the environment of a child
    model.check_data(data)
    model.config = to_plain(cfg)
    upload = Upload(cfg.remote, from_here(run)) if cfg.remote and global_rank() == 0 else None
    storage, interrupt = BackgroundCheckpointIO(upload.notify if upload else nothing), Interrupt()
    trainer = build_trainer(cfg, data, run, make_trainer, storage, interrupt)
    if trainer.strategy.root_device.type == "cpu":
        check_cpu_devices(trainer.num_devices)
    if trainer.strategy.root_device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 for operations that autocast leaves in fp32
    if cfg.init_from and not cfg.resume:
        start_from(model, Path(locate(cfg.init_from)), data.class_names() if len(model.class_counts) else [])
    print_summary(trainer, model, data, run)
    if cfg.resume:
        print_line(describe_resumed(checkpoints.read_sidecar(Path(cfg.resume)), cfg.images, cfg.minutes))
    if cfg.debug:
        print_line(f"debug={HydraConfig.get().runtime.choices['debug']}: {cfg.debug}")
    typed, schedule = HydraConfig.get().overrides.task, HydraConfig.get().runtime.choices["schedule"]
    for line in (*notes, *drop_overridden_schedules(model.schedules, typed, schedule)):
        print_line(line)
    if "_target_" not in cfg.stop and any(word.startswith("stop.") for word in typed):
        print_line("note: options of stop have no effect without stop=flat or stop=prune")
    if schedule != "recipe" and cfg.images is None:
        print_line("note: schedule has no effect in a run without images=; minutes= may be given as well")
    prepare_data(trainer, data)
    if not cfg.resume:
        memory.settle(model, data, trainer)
    warn_about_disk(cfg, model, trainer, run)
    if trainer.is_global_zero and not cfg.init_from and not cfg.resume:
        with paused(trainer, "fitting"):
            model.initialize_from(data)  # other ranks receive the weights from this one
    if trainer.is_global_zero:
        log_config(trainer, model.config, run_folder.read_choices(run))
    if upload:
        upload.start()
    try:
        trainer.fit(model, data, ckpt_path=cfg.resume)
    except Diverged:
        if child:  # Lightning kills the parent of a child that exits with another code than 0
            return math.inf
        raise
    except (Exception, SystemExit) as error:
        if interrupt.at_once:
            print_line(
                f"stopped at once, without saving; continue with: {train_command()} resume={run}", all_ranks=True
            )
            sys.exit(128 + interrupt.received)
        if isinstance(error.__context__, KeyboardInterrupt):  # before the first batch; Lightning exits with 1
            sys.exit(130)
        if cfg.resume and (unusable := damage(error, cfg.resume)):
            raise unusable from error
        if isinstance(error, Exception) and ranks.is_rank_lost(error):
            if child or HydraConfig.get().mode is not RunMode.MULTIRUN:
                ranks.end_processes(trainer, 2)
            raise ranks.rank_lost(run) from error
        if memory.is_ram_exhausted(error):
            raise UserError(
                f"data.batch_size={data.batch_size}: not enough memory; start a new run with a smaller "
                "data.batch_size, data.size or width of the networks"
            ) from error
        if isinstance(error, torch.OutOfMemoryError):
            raise memory.out_of_memory(model, data.batch_size // trainer.world_size) from error
        raise
    finally:
        kill_workers()
        storage.close()
        if upload:
            upload.finish()
        if dist.is_initialized():
            dist.destroy_process_group()
    if child:
        return math.inf  # this value is not used
    if storage.failure:
        raise UserError(storage.failure)
    if number := interrupt.signal or interrupt.received:  # received after the last batch, during the evaluation
        finished = (cfg.images is not None and model.images_seen >= cfg.images) or clock_of(trainer).remaining == 0
        then = ", the end of the run" if finished else f"; continue with: {train_command()} resume={run}"
        print_line(f"stopped at {model.images_seen:,} images{then}")
        if number == requeue.SIGNAL and not finished and trainer.is_global_zero:
            print_line(requeue.requeue())
        sys.exit(128 + number)
    if HydraConfig.get().mode is not RunMode.MULTIRUN and not cfg.debug:
        print_end(trainer, model, data, run)
    return objective(run, cfg)


def build_trainer(
    cfg: DictConfig,
    data: ImageDataModule,
    run: Path,
    make_trainer: Callable[..., Trainer],
    storage: AtomicCheckpointIO,
    interrupt: Interrupt,
) -> Trainer:
    """Return the Trainer with its callbacks, loggers and plugins."""
    if str(cfg.trainer.precision) not in PRECISIONS:
        raise UserError(f"trainer.precision={cfg.trainer.precision}: use {', '.join(PRECISIONS[:3])}")
    stop = instantiate(cfg.stop) if "_target_" in cfg.stop else None
    parts = ordered(callbacks(cfg.callback), stop, HydraConfig.get().runtime.choices["stop"])
    saves = any(isinstance(part, Checkpoint) for part in parts)
    if not saves:
        print_line("note: callback= has no checkpoint, so this run cannot be resumed or generate images")
    clock = TrainingTime(cfg.minutes)
    try:
        return make_trainer(
            max_steps=-1 if cfg.images is None else -(-cfg.images // data.batch_size),
            callbacks=[interrupt, Agreement(run, HydraConfig.get().overrides.task), clock, *parts],
            logger=[*loggers(cfg.logger, run), JSONLines(str(run), lambda: clock.seconds, images_at(cfg.resume))],
            plugins=[storage],
            default_root_dir=str(run),
            enable_checkpointing=saves,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"trainer: {error}") from error


def objective(run: Path, cfg: DictConfig) -> float:
    """Return the value that a sweep minimizes; print a line if its name was never logged.

    A single run without scores prints nothing, because only a sweep needs them.
    """
    value = logged_objective(run, cfg.objective, cfg.objective_mode, first_scored(cfg.model._target_))
    if value == math.inf:
        lines = read_metrics(run / run_folder.METRICS)
        names = sorted({name for line in lines for name in line} - {"images", "time", "seconds"})
        if cfg.objective in names:
            return value
        if any(name.startswith(SCORE) for name in names):
            print_line(f"objective={cfg.objective}: not logged; choose from {', '.join(names)}")
        elif HydraConfig.get().mode is RunMode.MULTIRUN:
            print_line(f"objective={cfg.objective}: no scores are logged; add evaluate to callback=")
    return value


def callbacks(configured: DictConfig) -> list[Any]:
    """Return the callbacks of a configuration that are not null. debug= may set options of callbacks not used."""
    return [instantiate(callback) for callback in configured.values() if callback and "_target_" in callback]


def loggers(configured: DictConfig, run: Path) -> list[Background]:
    """Return the loggers of a configuration, which `log_config` connects."""
    return [Background(str(label), functools.partial(instantiate, each), run) for label, each in configured.items()]


def ordered(parts: Sequence[Any], stop: Any | None, name: str) -> list[Any]:
    """Return the callbacks in their order: a score can end the run, and others act at the end, such as a last grid."""
    first = [part for part in parts if isinstance(part, ProgressLine | Evaluate)]
    if stop is not None and not any(isinstance(part, Evaluate) for part in first):
        raise UserError(f"stop={name} needs scores; add evaluate to callback=")
    others = [part for part in parts if part not in first]
    return [*first, *([] if stop is None else [stop]), Estimate(), *others]


def log_config(trainer: Trainer, config: dict[str, Any], choices: dict[str, Any]) -> None:
    """Connect the loggers, and give them the configuration and the options that the user has typed.

    Raises:
        UserError: a logger cannot log, for example because its server does not answer.
    """
    for logger in trainer.loggers:
        if isinstance(logger, Background):
            logger.open()
            logger.add_config(config, choices, best_of(config["objective"]))


def prepare_data(trainer: Trainer, data: ImageDataModule) -> None:
    """Fill the cache before other processes start, so that an error in the data ends only one process."""
    per_rank_batch_size(data.batch_size, trainer.world_size)
    if trainer.is_global_zero:
        data.prepare_data()


def warn_about_disk(cfg: DictConfig, model: GAN, trainer: Trainer, run: Path) -> None:
    """Print a line if the checkpoints will not fit on the disk."""
    for part in trainer.callbacks:  # type: ignore[attr-defined]
        line = isinstance(part, Checkpoint) and disk.warning(model, run, part.keep, part.keep_interval, cfg.images)
        if line:
            print_line(line)


def from_here(run: Path) -> Path:
    """Return a path below the working folder as a relative one, which is shorter to read; others unchanged."""
    return run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run


def print_end(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> None:
    """Print the time of the run and its parts, and commands to go on with."""
    clock, run = clock_of(trainer), from_here(run)
    print_line(f"{run}: {describe_time(model.images_seen, clock.seconds, clock.other)}")
    if gained := gain(trainer, model, data, run):
        print_line(gained)
    shows = any(getattr(logger, "label", "") == "tensorboard" for logger in trainer.loggers)
    for line in next_steps(run, translates=hasattr(data, "inputs"), tensorboard=shows):
        print_line(line)


def gain(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> str:
    """Return by how much training has improved the score of the best checkpoint; empty if the start was not scored."""
    parts: Any = trainer.callbacks  # type: ignore[attr-defined]
    start = next((part.untrained for part in parts if isinstance(part, Evaluate)), {})
    found = next((part for part in parts if isinstance(part, Checkpoint) and part.monitor in start), None)
    best = None if found is None else found.record()
    if best is None or not model.saves_start:
        return ""
    score = str(best["monitor"])
    later = logged_objective(run, score, "best")
    return describe_gain(model.start_name, score, has_held_out(data), start[score], later, best["images"])


def print_summary(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> None:
    """Print the run folder, the numbers of parameters, the devices, and notes."""
    if not trainer.is_global_zero:
        return
    counts = [
        f"{name} {sum(p.numel() for p in network.parameters()):,}"
        for name, network in (("generator", model.generator), ("discriminator", model.discriminator))
    ]
    device = f"{trainer.num_devices} x {trainer.strategy.root_device.type}"
    print_line(
        f"{from_here(run)}: {', '.join(counts)} parameters; batch {data.batch_size}; {device}, {trainer.precision}"
    )
    normalized = any(isinstance(part, _BatchNorm) for part in model.modules())
    if normalized and trainer.world_size > 1 and trainer.strategy.root_device.type == "cpu":
        print_line("note: BatchNorm uses the part of the batch in each process; torch synchronizes it on GPUs only")
    if normalized and data.batch_size // trainer.world_size == 1:
        print_line("note: BatchNorm compares the images of a batch; use data.batch_size of at least 2 per device")
    if model.config["data"].get("labels") and not len(model.class_counts):
        print_line("note: this model has no classes; data.labels is ignored")
