"""Start a run: the words of the command line, Hydra's job, the record of the run, errors in one line. No torch.

What only some commands need is imported by those: a resumed run, a sweep, and the help page.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, open_dict, read_write

from gan.config import new_run, paths
from gan.config.compose import check_options, device, to_plain
from gan.config.mistakes import INFORMATION, check_words, message_of
from gan.config.overrides import as_typed, conceal, derived, stored, typed_value, without, words_of
from gan.runs import lock, run_folder
from gan.utils import processes
from gan.utils.errors import causes, child_words, repeat, to_line
from gan.utils.option_values import without_home
from gan.utils.output import print_error, print_page
from gan.utils.processes import global_rank, is_child


def launch(task: Callable[[DictConfig], Any], words: list[str]) -> None:
    """Run a function as Hydra's job, with the configuration that the words of a command line describe.

    Before that, answer --help without importing torch, or create and lock the run folder.
    """
    if {"--help", "-h", "--help-all"} & set(words):
        from gan.config.help import help_page, whole_page

        print_page(whole_page() if "--help-all" in words else help_page())
        return
    before = sys.argv[1:]
    # Lightning ends the child processes with SIGTERM, also those that wait in a collective and run no Python.
    with nullcontext() if is_child() else processes.termination_as_exit(), lock.removed_unless_trained():
        cfg = None
        if not is_child():
            words, cfg = words_of_start(words)
        sys.argv[1:] = [*(f"--config-dir={folder}" for folder in paths.own()), *words]  # Hydra reads them
        try:
            if cfg is None:
                hydra.main(version_base="1.3", config_path=str(paths.CONF), config_name="train")(task)()
            else:
                run(task, cfg)
        finally:
            sys.argv[1:] = before
            lock.release()


def run(task: Callable[[DictConfig], Any], cfg: DictConfig) -> None:
    """Run a job as `hydra.main` does, which would compose its configuration twice more."""
    callbacks = Callbacks(cfg)
    callbacks.on_run_start(config=cfg, config_name="train")
    context = HydraContext(config_loader=None, callbacks=callbacks)  # type: ignore[arg-type]
    job = run_job(task, cfg, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=cfg, config_name="train", job_return=job)
    _ = job.return_value  # raises the error of a job that failed


def words_of_start(argv: list[str]) -> tuple[list[str], DictConfig | None]:
    """Return the arguments for Hydra, including the locked run folder and the checkpoint to resume from.

    For a new run, on rank 0 also return the configuration that Hydra composes of them.

    Raises:
        UserError: the folder is in use, or the run to resume is missing, damaged or has another configuration.
    """
    derived.clear()
    argv = [conceal(word) for word in argv]
    argv = check_words(argv)
    flags = [word for word in argv if word.startswith("-")]
    overrides = [word for word in argv if not word.startswith("-")]
    is_sweep = bool({"-m", "--multirun"} & set(flags))
    if INFORMATION & {flag.split("=")[0] for flag in flags}:
        return new_run.with_data(as_typed(argv, is_sweep), quiet=True), None
    overrides = as_typed(overrides, is_sweep)
    if is_sweep:
        from gan.config import sweep

        return [*flags, *sweep.words_of_sweep(overrides)], None
    if any(typed_value(overrides, name) is not None for name in ("resume", "remote")):
        from gan.config import resume

        return [*flags, *resume.words_of_resumed_run(overrides)], None
    overrides, cfg = new_run.words_of_new_run(overrides)
    # Other ranks take Hydra's slower way, so that rank 0 creates the folder, and removes it after an error.
    return [*flags, *overrides], None if flags or global_rank() else cfg


# ---- errors


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Print errors that users can fix in one line and exit with code 2; HYDRA_FULL_ERROR=1 shows the traceback.

    Use it around the program and inside Hydra's job, because Hydra adds lines to exceptions that leave the job.
    """
    # Set HYDRA_FULL_ERROR, so that Hydra raises errors instead of printing them. The user's value is stored in
    # GAN_FULL_ERROR for the inner use and for child processes.
    wants_traceback = os.environ.setdefault("GAN_FULL_ERROR", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    except KeyboardInterrupt:  # before training
        sys.exit(130)
    except Exception as error:
        if in_sweep():
            raise  # to Hydra: `gan.config.sweep` prints it, and the next job starts
        from gan.models.address import with_addresses

        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):  # a library may wrap it
            sys.exit(130)
        message = None if wants_traceback else message_of(error)
        if message is None:
            raise
        print_error(with_addresses(to_line(message)))
        sys.exit(2)


def in_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


# ---- inside Hydra's job

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "pillow", "tensorboard", "retro-gan")


def start_run(cfg: DictConfig) -> Path:
    """Set cfg.resume to a checkpoint or None, record the run, and return its folder."""
    check_options(cfg)
    job, sweeping = HydraConfig.get(), in_sweep()
    isolate_job()
    run = Path(job.runtime.output_dir)
    words = words_of(job.overrides.task)  # type: ignore[arg-type]
    repeat(functools.partial(words_to_repeat, [stored(word) for word in words]))
    if sweeping:
        lock.acquire(run)
    if cfg.resume == "auto":  # a job of a sweep, in its own folder
        from gan.config.resume import checkpoint_to_resume

        checkpoint = checkpoint_to_resume(run, cfg)
        with open_dict(cfg):
            cfg.resume = str(checkpoint) if checkpoint else None
    if global_rank() == 0 or (sweeping and not is_child()):
        write_record(cfg, run, words)
    return run


def words_to_repeat(words: list[str]) -> list[str]:
    """Return the overrides of this run that must be typed again to resume it."""
    from gan.config.resume import is_accepted  # new runs do not need it before they are stopped

    return [word for word in without(words, "resume", "resume_force", "remote") if not is_accepted(word)]


def isolate_job() -> None:
    """Set sys.argv, with which Lightning starts further processes: they train only this job, not the whole sweep.

    Hydra has its words (Lightning #11300); the others are added.
    """
    job = HydraConfig.get()
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if in_sweep():
        for key in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(key, None)  # set by the previous job
        words = words_of(job.overrides.task)  # type: ignore[arg-type]
        with read_write(job):  # type: ignore[arg-type]
            job.run.dir = job.runtime.output_dir
    sys.argv[1:] = [*child_words(), *words]


def write_record(cfg: DictConfig, run: Path, overrides: list[str]) -> None:
    """Write a line of environment.jsonl, then overrides.yaml and config.yaml: the order of `run_folder.RECORD`."""
    line = {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [without_home(sys.argv[0]), *map(stored, sys.argv[1:])],
        "git": run_folder.git_revision(),
        "python": platform.python_version(),
        "packages": {name: run_folder.version_of(name) for name in PACKAGES},
        "machine": platform.platform(),
        "device": device(cfg),
        "cores": os.cpu_count(),
    }
    with open(run / run_folder.ENVIRONMENT, "a") as file:
        file.write(json.dumps(line) + "\n")
    words = without(overrides, "resume", "resume_force", "remote", *derived)
    new_run.write_yaml(run / run_folder.OVERRIDES, [stored(word) for word in words])
    new_run.write_yaml(run / run_folder.CONFIG, to_plain(cfg))
