"""Which folder a run gets, and which checkpoint it goes on from: decided before Hydra starts. No torch."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from gan.common.errors import UserError, at_least
from gan.common.files import write_atomically
from gan.common.untrusted import read_yaml
from gan.run import run_folder
from gan.run.config import compose, global_rank, is_child, isolate_job, plain, say
from gan.run.lock import agreed, hold
from gan.run.overrides import lengthened, merge, quote, stored, typed_value, value_of, without

INFORMATION = {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version", "--shell-completion", "-sc"}
FOREIGN = {"--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "--experimental-rerun"}
MULTIRUN = {"-m", "--multirun"}
FREE = ("images", "minutes", "logger", "callback", "data.num_workers", "trainer.devices")  # may change on resume
FOLLOWS = ("trainer.strategy", "trainer.sync_batchnorm", "resume", "resume_force")  # from what may change
SWEEP = "sweep.yaml"
# All that is in the folder of a run that never began.
RECORD = (run_folder.CONFIG, run_folder.OVERRIDES, run_folder.ENVIRONMENT, run_folder.LOCK, run_folder.DECISION)


def prepare(argv: list[str]) -> list[str]:
    """The arguments for Hydra: flags first, the run's folder claimed and named, the checkpoint to go on from named.

    Raises:
        UserError: the folder is taken, or what is to be resumed is not there, damaged or configured otherwise.
    """
    flags = [word for word in argv if word.startswith("-")]
    overrides = [word for word in argv if not word.startswith("-")]
    if foreign := [flag for flag in flags if flag.split("=")[0] in FOREIGN]:
        raise UserError(f"{foreign[0]}: configurations are those in conf/; put yours in conf/experiment/NAME.yaml")
    if INFORMATION & {flag.split("=")[0] for flag in flags}:
        return argv
    if MULTIRUN & set(flags):
        return [*flags, *prepare_sweep(overrides)]
    return [*flags, *prepare_run(overrides)]


def prepare_run(typed: list[str]) -> list[str]:
    resume = typed_value(typed, "resume")
    if resume not in (None, "auto"):
        return prepare_resume(typed, Path(str(resume)))  # whose model may have options that the default one lacks
    cfg = compose(typed)
    check_options(cfg)
    named = value_of(typed, "hydra.run.dir") is not None
    if not named and int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 1))) > 1:
        raise UserError("under torchrun or SLURM all ranks need one folder: add hydra.run.dir=runs/NAME resume=auto")
    folder = Path(folder_of(cfg, "run"))
    if resume == "auto":
        return prepare_auto(typed, cfg, folder, named)
    return go_on(typed, claim(folder, named), None)


def prepare_auto(typed: list[str], cfg: DictConfig, folder: Path, named: bool) -> list[str]:
    """Go on with the named folder, or with the newest unfinished run of this configuration, or start."""
    if named:
        return go_on(typed, folder, agreed(folder, lambda: newest_or_claim(folder, cfg)))
    for config in sorted(
        folder.parent.glob(f"*/{run_folder.CONFIG}"), key=lambda path: path.stat().st_mtime, reverse=True
    ):
        run = config.parent
        if run_folder.checkpoints(run) and not differs(run, cfg):
            hold(run)
            checkpoint = run_folder.mend(run, say)
            if checkpoint is not None and unfinished(checkpoint, cfg):
                say(f"going on with {run} at {run_folder.images_of(checkpoint):,} images")
                return go_on(typed, run, checkpoint)
    return go_on(typed, claim(folder, named), None)


def prepare_resume(typed: list[str], path: Path) -> list[str]:
    """Replay a run's overrides, with those typed now where they may differ, in its own folder."""
    if not path.exists():
        raise UserError(f"resume={path}: no such run folder or checkpoint")
    run = path.resolve().parent.parent if path.is_file() else path
    if not (run / run_folder.OVERRIDES).exists():
        raise UserError(
            f"resume={path}: {run} is not a run folder, no {run_folder.OVERRIDES} in it; init_from= takes weights"
        )
    own = lengthened(without(typed, "hydra.run.dir"))
    merged = merge(stored(run / run_folder.OVERRIDES, own), own)
    cfg = compose(merged)
    check_options(cfg)
    refuse_difference(run, cfg)
    return go_on(merged, run, agreed(run, lambda: starting_point(run, path, cfg)))


def starting_point(run: Path, path: Path, cfg: DictConfig) -> Path:
    """The checkpoint that resume=PATH goes on from; later ones are set aside. The run folder is locked and mended."""
    hold(run)
    if path.is_file():
        if reason := run_folder.damage(path):
            raise UserError(f"resume={path}: damaged, {reason}; resume={run} takes the newest whole checkpoint")
        run_folder.mend(run, say)
        set_aside_later(run, run_folder.images_of(path))
        return path
    checkpoint = run_folder.mend(run, say)
    if checkpoint is None:
        raise UserError(
            f"resume={run}: no whole checkpoint in {run / run_folder.CHECKPOINTS}; start anew with another folder"
        )
    if not unfinished(checkpoint, cfg):
        reached = f"{run_folder.images_of(checkpoint):,} images"
        say(f"{run} has reached its length already ({reached}); give images= or minutes= to go on")
    return checkpoint


def prepare_sweep(typed: list[str]) -> list[str]:
    """Claim the sweep's folder; with resume=auto, go on in the newest one of the same overrides."""
    resume = value_of(typed, "resume")
    if resume not in (None, "null", "auto"):
        raise UserError(f"resume={resume}: a sweep goes on with resume=auto")
    named = value_of(typed, "hydra.sweep.dir") is not None
    own = [word for word in typed if word.startswith("hydra.sweep.dir=")]
    folder = Path(folder_of(compose(own), "sweep"))
    overrides = sorted(without(typed, "hydra.sweep.dir"))
    if resume == "auto":
        found = [folder / SWEEP] if named else folder.parent.glob(f"*/{SWEEP}")
        for record in sorted(found, key=lambda path: path.stat().st_mtime if path.exists() else 0, reverse=True):
            if is_sweep_of(record, overrides):
                say(f"going on with {record.parent}")
                return [*without(typed, "hydra.sweep.dir"), f"hydra.sweep.dir={quote(record.parent)}"]
    folder = claim(folder, named)
    write_yaml(folder / SWEEP, overrides)
    return [*without(typed, "hydra.sweep.dir"), f"hydra.sweep.dir={quote(folder)}"]


def is_sweep_of(record: Path, overrides: list[str]) -> bool:
    """Whether a sweep's record is of these overrides; one that is missing or cannot be read is of none."""
    try:
        return read_yaml(record) == overrides
    except (FileNotFoundError, UserError):
        return False


def begin(cfg: DictConfig) -> Path:
    """Inside Hydra's job: settle what to go on from (into cfg.resume), record what is run, return the run folder."""
    check_options(cfg)
    job = HydraConfig.get()
    sweeping = job.mode is RunMode.MULTIRUN
    isolate_job()
    run = Path(job.runtime.output_dir)
    if sweeping:
        hold(run)
    if cfg.resume == "auto":  # a sweep's job, in its own folder
        checkpoint = newest_or_start(run, cfg)
        with open_dict(cfg):
            cfg.resume = str(checkpoint) if checkpoint else None
    if global_rank() == 0 or (sweeping and not is_child()):
        record(cfg, run, list(job.overrides.task))
    return run


def check_options(cfg: DictConfig) -> None:
    """Raise UserError for an option of train.yaml that is out of its range."""
    if cfg.images is None and cfg.minutes is None:
        raise UserError("images and minutes are both null: give one of them, the length of the run")
    if cfg.images is not None:
        at_least("images", cfg.images, 1)
    if cfg.minutes is not None and (isinstance(cfg.minutes, str) or not 0 < cfg.minutes < math.inf):
        raise UserError(f"minutes={cfg.minutes}: a number above 0")
    at_least("seed", cfg.seed, 0)
    if cfg.objective_mode not in ("best", "last"):
        raise UserError(f"objective_mode={cfg.objective_mode}: best or last")


def record(cfg: DictConfig, run: Path, overrides: list[str]) -> None:
    """Write config.yaml, overrides.yaml and a line of environment.jsonl."""
    write_yaml(run / run_folder.CONFIG, plain(cfg))
    write_yaml(run / run_folder.OVERRIDES, without(overrides, "resume", "resume_force"))
    packages = {d.metadata["Name"].lower(): d.version for d in distributions() if d.metadata["Name"]}
    wanted = ("torch", "torchvision", "lightning", "hydra-core", "numpy", "pillow", "tensorboard", "retro-gan")
    line = {
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": sys.argv,
        "git": run_folder.revision(),
        "python": platform.python_version(),
        "packages": {name: packages.get(name) for name in wanted},
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }
    with open(run / run_folder.ENVIRONMENT, "a") as file:
        file.write(json.dumps(line) + "\n")


def claim(folder: Path, named: bool) -> Path:
    """Make the run's folder; one that somebody named must be empty, others get a free name."""
    if global_rank() != 0:
        return folder
    if named:
        if folder.exists() and (not folder.is_dir() or any(path.name not in RECORD for path in folder.iterdir())):
            raise UserError(f"{folder}: exists and is not empty; take another folder, or go on with resume={folder}")
        folder.mkdir(parents=True, exist_ok=True)
        hold(folder)
        return folder
    for attempt in range(1, 1000):
        free = folder if attempt == 1 else folder.with_name(f"{folder.name}-{attempt}")
        try:
            free.mkdir(parents=True)
            hold(free)
            return free
        except FileExistsError:
            continue
    raise UserError(f"{folder}: so many runs began in this second that no name is free")


def newest_or_claim(folder: Path, cfg: DictConfig) -> Path | None:
    """As `newest_or_start`, for a folder that may not be there."""
    if (folder / run_folder.CONFIG).exists():
        return newest_or_start(folder, cfg)
    claim(folder, named=True)
    return None


def newest_or_start(run: Path, cfg: DictConfig) -> Path | None:
    """The checkpoint of a folder to go on from, None where it never came to one and begins anew.

    Raises:
        UserError: its configuration is another one, or it has checkpoints and none is whole.
    """
    hold(run)
    if not run_folder.checkpoints(run):
        forget(run)
        return None
    refuse_difference(run, cfg)
    checkpoint = run_folder.mend(run, say)
    if checkpoint is None:
        raise UserError(f"{run}: none of its checkpoints is whole; start anew in another folder")
    return checkpoint


def forget(run: Path) -> None:
    """Clear the logs of a run that ended before its first checkpoint, since it begins anew."""
    if global_rank() == 0:
        (run / run_folder.METRICS).unlink(missing_ok=True)
        for events in run.glob("events.out.tfevents.*"):
            events.unlink()


def set_aside_later(run: Path, images: int) -> None:
    """Move checkpoints past the one to go on from out of the way: they belong to another future."""
    later = [path for path in run_folder.checkpoints(run) if int(path.stem.removeprefix("images-")) > images]
    if not later:
        return
    aside = run_folder.set_aside(run, later)
    run_folder.mend_best(run)
    say(f"later checkpoints are now in {aside}")


def unfinished(checkpoint: Path, cfg: DictConfig) -> bool:
    saved = run_folder.about(checkpoint)
    enough_images = cfg.images is not None and saved["images"] >= cfg.images
    enough_minutes = cfg.minutes is not None and (saved.get("seconds") or 0) >= 60 * cfg.minutes
    return not (enough_images or enough_minutes)


def refuse_difference(run: Path, cfg: DictConfig) -> None:
    if cfg.resume_force:
        return
    if found := difference(run, cfg):
        raise UserError(
            f"{run} was configured otherwise: {'; '.join(found)}; only {', '.join(FREE)} may change on resume "
            "(resume_force=true does it all the same)"
        )


def difference(run: Path, cfg: DictConfig) -> list[str]:
    """Lines `key: stored -> now` of what a resumed run may not change."""
    now = cfg.copy()
    with open_dict(now):
        for key in ("hydra", "logger", "callback"):
            now.pop(key, None)
    old, new = run_folder.flatten(run_folder.read_config(run)), run_folder.flatten(plain(now))
    keys = [key for key in sorted({*old, *new}) if not under(key, (*FREE, *FOLLOWS))]
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in keys if old.get(key) != new.get(key)]


def differs(run: Path, cfg: DictConfig) -> bool:
    """Whether a run found among others cannot go on with this configuration; one that cannot be read is passed over."""
    try:
        return bool(difference(run, cfg))
    except UserError:
        return True


def under(key: str, parents: Iterable[str]) -> bool:
    return any(key == parent or key.startswith(parent + ".") for parent in parents)


def go_on(overrides: list[str], run: Path, checkpoint: Path | None) -> list[str]:
    kept = without(overrides, "hydra.run.dir", "resume")
    return [*kept, f"hydra.run.dir={quote(run)}", f"resume={quote(checkpoint) if checkpoint else 'null'}"]


def folder_of(cfg: DictConfig, mode: str) -> str:
    HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in the folder's name
    return str(cfg.hydra[mode].dir)


def write_yaml(path: Path, value: Any) -> None:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    write_atomically(path, lambda file: file.write(text.encode()))
