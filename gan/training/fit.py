"""Train a model: the parts, the Trainer, the fit, the end. `gan.commands.train` calls it with a configuration."""

from __future__ import annotations

import functools
import logging
import math
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig

from gan import kinds
from gan.config.compose import resumed_at, to_plain
from gan.config.launch import in_sweep
from gan.contracts import DataModule, check
from gan.data.module import ImageDataModule
from gan.data.order import per_rank_batch_size
from gan.runs import checkpoints, ranks, run_folder
from gan.runs.checkpoint_io import AtomicCheckpointIO, nothing
from gan.runs.metrics import Objective, read_metrics
from gan.training import EXPECTED_WARNINGS, memory
from gan.training.callbacks.agreement import Agreement
from gan.training.callbacks.checkpoint import Checkpoint
from gan.training.callbacks.loop import Interrupt, TrainingTime, clock_of, kill_workers, paused
from gan.training.loggers.adapter import Adapter, adapters
from gan.training.loggers.files import JSONLines
from gan.training.module import GAN
from gan.training.schedules import drop_overridden_schedules
from gan.training.trainer import ordered
from gan.utils.errors import Diverged, UserError, choice
from gan.utils.option_values import check_cpu_devices
from gan.utils.output import duration, print_line
from gan.utils.processes import global_rank, is_child

PRECISIONS = ("bf16-mixed", "16-mixed", "32-true", "bf16", "16", "32")  # Lightning's, and its short names
SCORE = "eval/"  # begin of the logged names of scores


def fit(cfg: DictConfig, model: GAN, data: ImageDataModule, make_trainer: Callable[..., Trainer], run: Path) -> float:
    """Train to `images` or `minutes`, and return the objective; exit with 128 + its number after a signal, such as 130.

    Returns:
        The objective; the worst value, inf or -inf, if there was no evaluation.
    """
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # `print_summary` names the devices
    child = is_child()  # before Lightning gives the parent the environment of a child

    # Parts
    check(data, DataModule, "data")
    model.check_data(data)
    model.config = to_plain(cfg)
    upload = None
    if cfg.remote and global_rank() == 0:
        from gan.training.upload import Upload  # only runs with a copy need the libraries of object storage

        upload = Upload(cfg.remote, from_here(run))
    storage, interrupt = AtomicCheckpointIO(background=True, after=upload.due.set if upload else nothing), Interrupt()

    # Trainer
    trainer = build_trainer(cfg, data, run, make_trainer, storage, interrupt)
    prepare(cfg, model, data, trainer, run)
    if upload:
        upload.thread.start()

    # Fit
    if trainer.world_size > 1 and threading.current_thread() is threading.main_thread():
        interrupt.watchdog = ranks.SignalWatchdog(trainer)
    try:
        trainer.fit(model, data, ckpt_path=cfg.resume)
    except Diverged:
        if not child:  # Lightning kills the parent of a child that exits with another code than 0
            raise
    except (Exception, SystemExit) as error:
        end_after(error, child, interrupt, trainer, model, run)
    finally:
        if interrupt.watchdog:
            interrupt.watchdog.close()
        kill_workers()
        storage.close()
        if upload:
            upload.finish()
        if dist.is_initialized():
            dist.destroy_process_group()

    # End
    if child:
        return math.inf  # this value is not used
    if storage.failure:
        raise UserError(storage.failure)
    if number := interrupt.signal or interrupt.received:  # received after the last batch, during the evaluation
        exit_after_signal(number, cfg, model, trainer, run)
    if not in_sweep() and not cfg.debug:
        print_end(trainer, model, data, run)
    return objective(run, cfg)


# ---- Before the fit


def build_trainer(
    cfg: DictConfig,
    data: ImageDataModule,
    run: Path,
    make: Callable[..., Trainer],
    storage: AtomicCheckpointIO,
    interrupt: Interrupt,
) -> Trainer:
    """Return the Trainer of a run. `make` is `make_trainer` with the options of conf/trainer."""
    choice("trainer.precision", str(cfg.trainer.precision), PRECISIONS)
    stop = instantiate(cfg.stop) if "_target_" in cfg.stop else None
    # debug= may set options of callbacks that are not used, which have no target.
    used = [instantiate(callback) for callback in cfg.callback.values() if callback and "_target_" in callback]
    parts = ordered(used, stop, HydraConfig.get().runtime.choices["stop"])
    saves = any(isinstance(part, Checkpoint) for part in parts)
    if not saves:
        print_line("note: no checkpoints are saved, because callback= leaves out checkpoint")
    clock = TrainingTime(cfg.minutes)
    # Adapters come before JSONLines, which cuts metrics.jsonl: they read how far the run came before it was resumed.
    adapters = [Adapter(str(name), functools.partial(instantiate, each), run) for name, each in cfg.logger.items()]
    try:
        return make(
            max_steps=-1 if cfg.images is None else -(-cfg.images // data.batch_size),
            callbacks=[interrupt, Agreement(run), clock, *parts],
            logger=[*adapters, JSONLines(str(run), lambda: clock.seconds, resumed_at(cfg))],
            plugins=[storage],
            default_root_dir=str(run),
            enable_checkpointing=saves,
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"trainer: {error}") from error


def prepare(cfg: DictConfig, model: GAN, data: ImageDataModule, trainer: Trainer, run: Path) -> None:
    """Give a new model its first weights, fill the cache of the data, and print what the run is."""
    device = trainer.strategy.root_device.type
    if device == "cpu":
        check_cpu_devices(trainer.num_devices)
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 for operations that autocast leaves in fp32
    if cfg.init_from and not cfg.resume:
        from gan.models.address import locate  # what loads models of others is not needed otherwise
        from gan.training.initial_weights import start_from

        start_from(model, Path(locate(cfg.init_from)))
    elif not cfg.resume and hasattr(model.discriminator, "load_pretrained"):
        model.discriminator.load_pretrained()
    print_summary(trainer, model, data, run)
    if cfg.resume:
        print_line(describe_resumed(checkpoints.read_sidecar(Path(cfg.resume)), cfg.images, cfg.minutes))
    if cfg.debug:
        print_line(f"debug={HydraConfig.get().runtime.choices['debug']}: {cfg.debug}")
    typed, schedule = HydraConfig.get().overrides.task, HydraConfig.get().runtime.choices["schedule"]
    for line in drop_overridden_schedules(model.schedules, typed, schedule):
        print_line(line)
    per_rank_batch_size(data.batch_size, trainer.world_size)
    if not trainer.is_global_zero:
        return
    data.prepare_data()  # before other processes start, so that an error in the data ends only one process
    if not cfg.init_from and not cfg.resume:
        with paused(trainer, "fitting"):
            model.initialize_from(data)  # other ranks receive the weights from this one
    for logger in adapters(trainer):
        logger.open()
        if not cfg.resume:
            logger.log_config(model.config, run_folder.read_choices(run))


def print_summary(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> None:
    networks = (("generator", model.generator), ("discriminator", model.discriminator))
    counts = [f"{name} {sum(p.numel() for p in network.parameters()):,}" for name, network in networks]
    device = f"{trainer.num_devices} x {trainer.strategy.root_device.type}, {trainer.precision}"
    print_line(f"{from_here(run)}: {', '.join(counts)} parameters; batch {data.batch_size}; {device}")


def describe_resumed(sidecar: dict[str, Any], images: int | None, minutes: float | None) -> str:
    """Return text such as `resumes at 50,000 of 112,000 images, after 3:20 of 5:00 of training`."""
    total = "" if images is None else f" of {images:,}"
    length = "" if minutes is None else f" of {duration(60 * minutes)}"
    seconds = sidecar.get("seconds")
    spent = "" if seconds is None else f", after {duration(seconds)}{length} of training"
    return f"resumes at {sidecar['images']:,}{total} images{spent}"


# ---- After the fit


def end_after(
    error: BaseException, child: bool, interrupt: Interrupt, trainer: Trainer, model: GAN, run: Path
) -> NoReturn:
    """Exit as after a signal, or raise what has ended the fit: too little memory, a lost rank, or the error itself."""
    if interrupt.at_once:
        print_line(f"stopped at once, without saving; {checkpoints.how_to_continue(run)}", all_ranks=True)
        sys.exit(128 + interrupt.received)
    if isinstance(error.__context__, KeyboardInterrupt):  # before the first batch; Lightning exits with 1
        sys.exit(130)
    if isinstance(error, Exception) and ranks.is_rank_lost(error):
        if child or not in_sweep():
            ranks.end_processes(trainer, 2)
        raise ranks.rank_lost(run) from error
    if isinstance(error, torch.OutOfMemoryError):
        raise memory.out_of_memory(model.batch_size // trainer.world_size, model.micro_batch) from error
    raise error


def exit_after_signal(number: int, cfg: DictConfig, model: GAN, trainer: Trainer, run: Path) -> None:
    """Print how to continue, requeue a job of SLURM, and exit as after a signal."""
    finished = (cfg.images is not None and model.images_seen >= cfg.images) or clock_of(trainer).remaining == 0
    then = ", the end of the run" if finished else f"; {checkpoints.how_to_continue(run)}"
    print_line(f"stopped at {model.images_seen:,} images{then}")
    if number == ranks.SIGNAL and not finished and trainer.is_global_zero:
        print_line(ranks.requeue())
    sys.exit(128 + number)


def print_end(trainer: Trainer, model: GAN, data: ImageDataModule, run: Path) -> None:
    """Print the time of the run and its parts, and commands to go on with."""
    clock, run = clock_of(trainer), from_here(run)
    times = {"training": clock.seconds} | {name: seconds for name, seconds in clock.other.items() if seconds >= 1}
    spent = ", ".join(f"{duration(seconds)} of {name}" for name, seconds in times.items())
    print_line(f"{run}: {model.images_seen:,} images in {spent}")
    best = checkpoints.best_record(run)
    if best and best["images"] != model.images_seen:
        which = f"the one at {best['images']:,} images" if best["images"] else "the start"
        print_line(f"the best checkpoint is {which}, with {best['monitor']} = {best['score']:.4g}; commands use it")
    print_line("next:")
    if checkpoints.list_checkpoints(run):
        again = " --force" if (run / run_folder.GENERATED).exists() else ""
        generate = f"gan generate {run} --grid{again}"
        print_line(f"gan translate {run} PATH translated" if kinds.of_data(data) is kinds.TRANSLATOR else generate)
    print_line(f"gan doctor {run}")
    print_line(f"gan compare {run} --out {run / 'curves.png'}")


def objective(run: Path, cfg: DictConfig) -> float:
    """Return the value by which a sweep compares jobs; print a line if its name was never logged.

    A single run without scores prints nothing, because only a sweep needs them.
    """
    lines = read_metrics(run / run_folder.METRICS)
    value = Objective.of(cfg).best(lines)
    if not math.isfinite(value):
        logged = {name for line in lines for name in line}
        scores = sorted(name for name in logged if name.startswith(SCORE))
        if cfg.objective not in logged and (scores or in_sweep()):
            others = f"choose from {', '.join(scores)}" if scores else "add evaluate to callback="
            print_line(f"objective={cfg.objective}: not logged; {others}")
    return value


def from_here(run: Path) -> Path:
    """Return a path below the working folder as a relative one, which is shorter to read; others unchanged."""
    return run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run
