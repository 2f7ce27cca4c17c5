"""Start a run inside Hydra's job: find the checkpoint to resume from, and record the configuration. No torch."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write

from gan.common.code import git_revision
from gan.common.errors import child_words
from gan.common.nested import without_home
from gan.common.processes import global_rank, is_child
from gan.run import run_folder, untrained
from gan.run.config import check_options, to_plain
from gan.run.lock import acquire
from gan.run.overrides import without
from gan.run.paths_as_typed import stored
from gan.run.resume import checkpoint_to_resume, write_yaml
from gan.run.secrets import unresolved

PACKAGES = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "pillow", "tensorboard", "retro-gan")


def start_run(cfg: DictConfig) -> Path:
    """Set cfg.resume to a checkpoint or None, record the run, and return its folder."""
    check_options(cfg)
    job = HydraConfig.get()
    sweeping = job.mode is RunMode.MULTIRUN
    isolate_job()
    run = Path(job.runtime.output_dir)
    if sweeping:
        if not is_child():
            untrained.start_job(run)
        acquire(run)
    if cfg.resume == "auto":  # a job of a sweep, in its own folder
        checkpoint = checkpoint_to_resume(run, cfg)
        with open_dict(cfg):
            cfg.resume = str(checkpoint) if checkpoint else None
    if global_rank() == 0 or (sweeping and not is_child()):
        write_record(cfg, run, unresolved(job.overrides.task))  # type: ignore[arg-type]
    return run


def isolate_job() -> None:
    """Set sys.argv, with which Lightning starts further processes: they train only this job, not the whole sweep.

    Hydra has its words (Lightning #11300); the others are added.
    """
    job = HydraConfig.get()
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if job.mode is RunMode.MULTIRUN:
        for key in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(key, None)  # set by the previous job
        words = unresolved(job.overrides.task)  # type: ignore[arg-type]
        with read_write(job):  # type: ignore[arg-type]
            job.run.dir = job.runtime.output_dir
    sys.argv[1:] = [*child_words(), *words]


def write_record(cfg: DictConfig, run: Path, overrides: list[str]) -> None:
    """Write a line of environment.jsonl, then overrides.yaml and config.yaml: the order of `run_folder.RECORD`."""
    line = {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [without_home(sys.argv[0]), *map(stored, sys.argv[1:])],
        "git": git_revision(),
        "python": platform.python_version(),
        "packages": {name: version_of(name) for name in PACKAGES},
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }
    with open(run / run_folder.ENVIRONMENT, "a") as file:
        file.write(json.dumps(line) + "\n")
    write_yaml(run / run_folder.OVERRIDES, list(map(stored, without(overrides, "resume", "resume_force", "remote"))))
    write_yaml(run / run_folder.CONFIG, to_plain(cfg))


def version_of(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
