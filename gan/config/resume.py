"""Choose the folder of a run and the checkpoint to resume from, before Hydra starts. No torch."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from gan.config import early_checks
from gan.config.compose import check_options, compose, literals, options, to_plain
from gan.config.early_checks import with_data, with_networks
from gan.config.overrides import (
    as_typed,
    first_alternative,
    is_under,
    key_of,
    read_overrides,
    stored,
    typed_value,
    value_of,
    with_new_length,
    without,
)
from gan.config.paths import groups, quote
from gan.config.secrets import conceal
from gan.runs import checkpoints, lock, run_folder
from gan.utils.errors import UserError, path_hint, reason
from gan.utils.files import write_atomically
from gan.utils.object_store import check_address, is_remote
from gan.utils.option_values import flatten, without_home
from gan.utils.output import print_line
from gan.utils.processes import global_rank, num_external_ranks
from gan.utils.untrusted import read_yaml

INFORMATION = {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version", "--shell-completion", "-sc"}
LOCKS = {run_folder.LOCK, run_folder.DECISION, run_folder.REMOTE}  # files of a run that starts
RUNS = Path("runs")  # folder of a run with a copy in object storage, if none was typed
# Options that may change on resume, and options that are computed from such options.
FREE = ("images", "minutes", "logger", "callback", "stop", "remote", "data.num_workers", "trainer.devices",
        "trainer.threads")  # fmt: skip
DERIVED = ("trainer.strategy", "trainer.sync_batchnorm", "resume", "resume_force")


def prepare(argv: list[str]) -> list[str]:
    """Return the arguments for Hydra, including the locked run folder and the checkpoint to resume from.

    Raises:
        UserError: the folder is in use, or the run to resume is missing, damaged or has another configuration.
    """
    argv = [conceal(word) for word in argv]
    early_checks.check_words(argv, lambda: [*groups(), *options([])])
    flags = [word for word in argv if word.startswith("-")]
    overrides = [word for word in argv if not word.startswith("-")]
    sweep = bool({"-m", "--multirun"} & set(flags))
    if INFORMATION & {flag.split("=")[0] for flag in flags}:
        return with_data(as_typed(argv, sweep), quiet=True)
    overrides = as_typed(overrides, sweep)
    return [*flags, *(prepare_sweep(with_data(overrides)) if sweep else prepare_run(overrides))]


def prepare_run(typed: list[str]) -> list[str]:
    """Return the overrides of one run, new or resumed."""
    resumes_copy, typed = is_remote(typed_value(typed, "resume")), with_remote(typed)
    resume, remote = typed_value(typed, "resume"), typed_value(typed, "remote")
    named = value_of(typed, "hydra.run.dir") is not None
    if resume not in (None, "auto"):
        if remote:
            fetch_record(remote, run_folder.folder_of(Path(str(resume))), resumes=True, required=resumes_copy)
        return prepare_resume(typed, Path(str(resume)))  # do not compose here: the stored model may have other options
    typed = with_data(typed)
    cfg = checked(typed)
    added = with_networks(typed, cfg)
    if added != typed:
        typed, cfg = added, checked(added)
    if not named and num_external_ranks() > 1:
        raise UserError("under torchrun or SLURM all ranks need one folder: add hydra.run.dir=runs/NAME resume=auto")
    folder = folder_of(cfg, "run")
    if remote:
        fetch_record(remote, folder, resumes=resume is not None)
    if resume == "auto":
        return prepare_auto(typed, cfg, folder, named)
    folder = create_folder(folder, named)
    fetch_run(remote, folder)
    return with_folder(typed, folder, None)


def fetch_record(address: str, folder: Path, resumes: bool, required: bool = False) -> None:
    """Download the configuration of the run at an address."""
    from gan.runs import remote  # only runs with a copy need the libraries of object storage

    remote.fetch_record(address, folder, resumes, required)


def fetch_run(address: str | None, folder: Path) -> None:
    """Download what has changed in the copy of a run, if it has one."""
    if address:
        from gan.runs import remote

        remote.fetch_run(address, folder)


def with_remote(typed: list[str]) -> list[str]:
    """Return the overrides of a run, with the address of its copy as `remote` and its folder as `hydra.run.dir`.

    resume= with an address becomes resume= with the folder. Overrides without an address stay as they are.
    """
    resume, copy = typed_value(typed, "resume"), typed_value(typed, "remote")
    if is_remote(resume):
        if num_external_ranks() > 1:
            raise UserError(f"resume={resume}: under torchrun or SLURM, write remote={resume} resume=auto")
        copy = resume
    if copy is None:
        return typed
    address = check_address(f"remote={copy}", str(copy))
    folder = typed_value(typed, "hydra.run.dir") or RUNS / address.rpartition("/")[2]
    if resume not in (None, "auto") and not is_remote(resume):  # a run folder or a checkpoint
        folder = run_folder.folder_of(Path(str(resume)))
    words = [f"hydra.run.dir={quote(str(folder))}", f"remote={quote(address)}"]
    if is_remote(resume):
        return [*without(typed, "hydra.run.dir", "remote", "resume"), *words, f"resume={quote(str(folder))}"]
    return [*without(typed, "hydra.run.dir", "remote"), *words]


def checked(overrides: list[str]) -> DictConfig:
    """Return the configuration of a new run, which was checked."""
    cfg = compose(overrides)
    check_options(cfg)
    early_checks.check(literals(cfg))
    return cfg


def prepare_auto(typed: list[str], cfg: DictConfig, folder: Path, named: bool) -> list[str]:
    """Return the overrides for resume=auto.

    The run is the named one, the newest unfinished run with this configuration, or a new one.
    """
    if named:
        return with_folder(typed, folder, lock.decide_on_rank_0(folder, lambda: resume_or_create(folder, cfg)))
    configs = folder.parent.glob(f"*/{run_folder.CONFIG}")
    for config in sorted(configs, key=lambda path: path.stat().st_mtime, reverse=True):
        run = config.parent
        if checkpoints.list_checkpoints(run) and is_same(run, cfg):
            lock.acquire(run)
            checkpoint = checkpoints.repair(run)
            if checkpoint is not None and is_unfinished(checkpoint, cfg):
                print_line(f"resuming {run} at {checkpoints.images_of(checkpoint):,} images")
                return with_folder(typed, run, checkpoint)
    return with_folder(typed, create_folder(folder, named), None)


def prepare_resume(typed: list[str], path: Path) -> list[str]:
    """Return the overrides for resume=PATH: those of the run, replaced by typed ones with the same key."""
    if not path.exists():
        from gan.models.address import is_address

        if is_address(given := typed_value(typed, "resume")):  # a path has one / of hf://
            raise UserError(f"resume={given}: is a shared model, which cannot be resumed; use init_from={given}")
        raise UserError(f"resume={path}: no such run folder or checkpoint{path_hint(path)}")
    run = run_folder.folder_of(path)
    if not (run / run_folder.OVERRIDES).exists():
        hint = run_folder.hint_inside(run) or "init_from= loads weights only"
        raise UserError(f"resume={path}: {run} is not a run folder: it has no {run_folder.OVERRIDES}; {hint}")
    typed = with_new_length(without(typed, "hydra.run.dir"))
    kept = without(read_overrides(run / run_folder.OVERRIDES, typed), *map(key_of, typed))
    merged = [*kept, *typed]
    cfg = compose(merged)
    check_options(cfg)
    early_checks.check(literals(cfg), resumed=True)
    check_same(run, cfg)
    return with_folder(merged, run, lock.decide_on_rank_0(run, lambda: choose_checkpoint(run, path, cfg)))


def choose_checkpoint(run: Path, path: Path, cfg: DictConfig) -> Path:
    """Return the checkpoint for resume=PATH.

    Lock and repair the folder. If PATH is a checkpoint, move later checkpoints aside.
    """
    lock.acquire(run)
    fetch_run(cfg.remote, run)
    if path.is_file():
        if damage := checkpoints.find_damage(path):
            raise UserError(f"resume={path}: damaged, {damage}; resume={run} uses the newest undamaged checkpoint")
        checkpoints.repair(run)
        checkpoints.set_aside_later(run, checkpoints.images_of(path))
        return path
    checkpoint = checkpoints.repair(run)
    if checkpoint is None:
        raise UserError(
            f"resume={run}: no undamaged checkpoint in {run / run_folder.CHECKPOINTS}; train again in another folder"
        )
    if not is_unfinished(checkpoint, cfg):
        seen = checkpoints.images_of(checkpoint)
        print_line(f"{run} has already reached its length ({seen:,} images); set images= or minutes= to continue")
    return checkpoint


def prepare_sweep(typed: list[str]) -> list[str]:
    """Return the overrides of a sweep.

    Its folder is new, or with resume=auto the newest folder of a sweep with the same overrides.
    """
    resume, remote = value_of(typed, "resume"), value_of(typed, "remote")
    if resume not in (None, "null", "auto"):
        raise UserError(f"resume={resume}: to resume a sweep, use resume=auto")
    if remote not in (None, "null"):
        raise UserError(f"remote={remote}: a sweep has one folder for each job, but this is one URL; leave it out")
    named = value_of(typed, "hydra.sweep.dir") is not None
    first = checked([first_alternative(word) for word in typed])
    if all(first_alternative(word) == word for word in typed if key_of(word) == "init_from"):
        typed = with_networks(typed, first)
    if OmegaConf.select(first, "hydra.sweeper.storage") and not version("sqlalchemy").startswith("1."):
        raise UserError("hydra.sweeper.storage: Optuna 2 needs SQLAlchemy 1.4 for it: pip install 'sqlalchemy<2'")
    folder = folder_of(compose([word for word in typed if key_of(word) in ("hydra.sweep.dir", "debug")]), "sweep")
    overrides = sorted(map(stored, without(typed, "hydra.sweep.dir", "resume")))
    if resume == "auto":
        records = [folder / lock.SWEEP] if named else folder.parent.glob(f"*/{lock.SWEEP}")
        for record in sorted(records, key=lambda path: path.stat().st_mtime if path.exists() else 0, reverse=True):
            if is_sweep_of(record, overrides):
                print_line(f"resuming {record.parent}")
                return [*without(typed, "hydra.sweep.dir"), f"hydra.sweep.dir={quote(record.parent)}"]
    folder = create_folder(folder, named)
    write_yaml(folder / lock.SWEEP, overrides)
    return [*without(typed, "hydra.sweep.dir"), f"hydra.sweep.dir={quote(folder)}"]


def is_sweep_of(record: Path, overrides: list[str]) -> bool:
    """Return whether a sweep was recorded with these overrides; False if the record is missing or cannot be read."""
    try:
        return read_yaml(record) == overrides
    except (FileNotFoundError, UserError):
        return False


def with_folder(overrides: list[str], run: Path, checkpoint: Path | None) -> list[str]:
    """Return the overrides with the run folder and the checkpoint added."""
    kept = without(overrides, "hydra.run.dir", "resume")
    return [*kept, f"hydra.run.dir={quote(run)}", f"resume={quote(checkpoint) if checkpoint else 'null'}"]


# ---- the configuration of a run


def check_same(run: Path, cfg: DictConfig) -> None:
    """Raise UserError, which lists the differences, if a run has another configuration and resume_force is not set."""
    if not cfg.resume_force and (found := differences(run, cfg)):
        raise UserError(
            f"{run} has another configuration: {'; '.join(found)}; only {', '.join(FREE)} may change on resume; "
            "set resume_force=true to resume anyway"
        )


def is_same(run: Path, cfg: DictConfig) -> bool:
    """Return whether a run can be resumed with a configuration; False if its own configuration cannot be read."""
    try:
        return not differences(run, cfg)
    except UserError:
        return False


def differences(run: Path, cfg: DictConfig) -> list[str]:
    """Return a line `key: stored -> now` for each difference in an option that may not change on resume."""
    before, now = without_home(run_folder.read_config(run)), cfg.copy()
    with open_dict(now):
        for key in ("hydra", "logger", "callback"):
            now.pop(key, None)
        now.images = before.get("images")  # `images` may change, and with it the lengths of schedules
    old, new = flatten(before), flatten(to_plain(now))
    keys = [key for key in sorted({*old, *new}) if not is_under(key, (*FREE, *DERIVED))]
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in keys if old.get(key) != new.get(key)]


# ---- the folder


def folder_of(cfg: DictConfig, mode: str) -> Path:
    """Return the folder in a composed configuration; mode is "run" or "sweep". With debug=NAME it ends in _debug-NAME.

    A folder that was typed stays as it is.
    """
    HydraConfig.instance().set_config(cfg)  # for ${hydra:...} in the folder's name
    name, debug = str(cfg.hydra[mode].dir), cfg.hydra.runtime.choices.debug
    typed = any(key_of(word) == f"hydra.{mode}.dir" for word in cfg.hydra.overrides.hydra)
    return Path(name if typed or debug in (None, "null") else f"{name}_debug-{debug}")


def create_folder(folder: Path, named: bool) -> Path:
    """Create and lock a run folder, and return its path.

    A folder that the user has named must be empty. Otherwise a suffix makes the name unique.
    """
    if global_rank() != 0:
        return folder
    if named:
        if folder.exists() and not (folder.is_dir() and holds_nothing(folder)):
            raise UserError(f"{folder}: exists and is not empty; use another folder, or resume={folder}")
        lock.make(folder)
        lock.acquire(folder)
        return folder
    free, attempt = folder, 1
    while True:
        try:
            lock.make(free, exist_ok=False)
            lock.acquire(free)
            return free
        except FileExistsError:
            attempt += 1
            free = folder.with_name(f"{folder.name}-{attempt}")
        except OSError as error:
            raise UserError(
                f"{free}: cannot be created ({reason(error)}); name another folder with hydra.run.dir=FOLDER"
            ) from error


def holds_nothing(folder: Path) -> bool:
    """Return whether a folder is empty, except for locks and the record of a run, complete or not.

    One file of the record may be the user's own. They are written in this order, and the first is only appended to.
    """
    names = {path.name for path in folder.iterdir()} - LOCKS
    return any(names == set(run_folder.RECORD[:count]) for count in range(len(run_folder.RECORD) + 1))


def resume_or_create(folder: Path, cfg: DictConfig) -> Path | None:
    """Return the checkpoint to resume from. If the folder is not one of a run, create it and return None."""
    if run_folder.is_run(folder):
        if cfg.remote:
            lock.acquire(folder)
            check_same(folder, cfg)
            fetch_run(cfg.remote, folder)
        return checkpoint_to_resume(folder, cfg)
    create_folder(folder, named=True)
    fetch_run(cfg.remote, folder)
    return None


def checkpoint_to_resume(run: Path, cfg: DictConfig) -> Path | None:
    """Return the checkpoint of a run to resume from; None if the run has no checkpoint and starts again."""
    lock.acquire(run)
    saved, logs = checkpoints.list_checkpoints(run), list_logs(run)
    if saved or logs:
        check_same(run, cfg)
    if not saved:  # it ended before its first checkpoint, or they are on a disk that is not mounted
        if logs and global_rank() == 0:
            aside = checkpoints.set_aside(run, logs)
            print_line(f"{run} has no checkpoint and starts again; its logs were moved to {aside}")
        return None
    checkpoint = checkpoints.repair(run)
    if checkpoint is None:
        raise UserError(f"{run}: all its checkpoints are damaged; train again in another folder")
    return checkpoint


def list_logs(run: Path) -> list[Path]:
    """Return the logs that a run has written: metrics, scores and the events of TensorBoard."""
    names = (run_folder.METRICS, run_folder.METRICS_CSV, run_folder.EVALUATION)
    return [path for path in (*(run / name for name in names), *run.glob("events.out.tfevents.*")) if path.exists()]


def is_unfinished(checkpoint: Path, cfg: DictConfig) -> bool:
    """Return whether a checkpoint is below both the images and the minutes of a configuration."""
    saved = checkpoints.read_sidecar(checkpoint)
    enough_images = cfg.images is not None and saved["images"] >= cfg.images
    enough_minutes = cfg.minutes is not None and (saved.get("seconds") or 0) >= 60 * cfg.minutes
    return not (enough_images or enough_minutes)


def write_yaml(path: Path, value: Any) -> None:
    """Write a value as YAML, atomically."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    write_atomically(path, lambda file: file.write(text.encode()))
