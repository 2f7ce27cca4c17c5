"""Resume a run, or start one with a copy in object storage: its folder, configuration and checkpoint. No torch.

The overrides of a run folder are not trusted: they may come from someone else. A run that neither resumes nor has a
copy does not import this module.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, open_dict

from gan.config import new_run
from gan.config.compose import check_options, compose, literals, options, to_plain
from gan.config.new_run import create_folder, is_named, with_folder
from gan.config.overrides import (
    READ_PATHS,
    as_list,
    is_group,
    is_under,
    key_of,
    parse,
    reads_data,
    typed_value,
    value_of,
    without,
)
from gan.config.paths import folders, group_names
from gan.runs import checkpoints, lock, remote, run_folder
from gan.utils.errors import UserError, path_hint
from gan.utils.files import write_json
from gan.utils.object_store import check_address
from gan.utils.option_values import flatten, is_remote, quote, without_home
from gan.utils.output import first_few, print_line
from gan.utils.processes import global_rank, is_child, num_external_ranks
from gan.utils.untrusted import is_plain, read_json

RUNS = Path("runs")  # folder of a run with a copy in object storage, if none was typed
# Options that may change on resume, and options that are computed from such options.
FREE = ("images", "minutes", "logger", "callback", "stop", "remote", "data.num_workers", "trainer.devices",
        "trainer.threads")  # fmt: skip
DERIVED = ("trainer.strategy", "trainer.sync_batchnorm", "resume", "resume_force", "kind")
REMOVED = ("objective_mode",)  # options of older runs
DECISION = 300.0  # seconds that other ranks wait for the decision of rank 0
MAX_CHANGES = 3  # in a message
UNSEEN = 60.0  # seconds after which a run folder without a lock is taken for one that rank 0 does not share


def words_of_resumed_run(typed: list[str]) -> list[str]:
    """Return the overrides of a run with resume= or remote=, with its locked folder and its checkpoint."""
    resumes_copy, typed = is_remote(typed_value(typed, "resume")), with_remote(typed)
    resume, address = typed_value(typed, "resume"), typed_value(typed, "remote")
    if resume not in (None, "auto"):
        remote.fetch_record(address, run_folder.folder_of(Path(str(resume))), resumes=True, required=resumes_copy)
        return prepare_resume(typed, Path(str(resume)))  # do not compose here: the stored model may have other options
    typed, cfg = new_run.complete(typed)
    folder = new_run.folder_of(cfg, "run")
    remote.fetch_record(address, folder, resumes=resume is not None)
    if resume == "auto":
        return prepare_auto(typed, cfg, folder)
    folder = create_folder(folder, is_named(typed))
    remote.fetch_run(address, folder)
    return with_folder(typed, folder, None)


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


# ---- resume=auto


def prepare_auto(typed: list[str], cfg: DictConfig, folder: Path) -> list[str]:
    """Return the overrides of the named run, the newest unfinished one with this configuration, or a new one."""
    if is_named(typed):
        return with_folder(typed, folder, decide_on_rank_0(folder, lambda: resume_or_create(folder, cfg)))
    configs = folder.parent.glob(f"*/{run_folder.CONFIG}")
    for config in sorted(configs, key=lambda path: path.stat().st_mtime, reverse=True):
        run = config.parent
        if checkpoints.list_checkpoints(run) and is_same(run, cfg):
            lock.acquire(run)
            checkpoint = checkpoints.repair(run)
            if checkpoint is not None and is_unfinished(checkpoint, cfg):
                print_line(f"resuming {run} at {checkpoints.images_of(checkpoint):,} images")
                return with_folder(typed, run, checkpoint)
    return with_folder(typed, create_folder(folder, named=False), None)


def resume_or_create(folder: Path, cfg: DictConfig) -> Path | None:
    """Return the checkpoint to resume from. If the folder is not one of a run, create it and return None."""
    if run_folder.is_run(folder):
        if cfg.remote:
            lock.acquire(folder)
            check_same(folder, cfg)
            remote.fetch_run(cfg.remote, folder)
        return checkpoint_to_resume(folder, cfg)
    create_folder(folder, named=True)
    remote.fetch_run(cfg.remote, folder)
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
    names = (run_folder.METRICS, run_folder.METRICS_CSV, run_folder.EVALUATION)
    return [path for path in (*(run / name for name in names), *run.glob("events.out.tfevents.*")) if path.exists()]


# ---- resume=PATH


def prepare_resume(typed: list[str], path: Path) -> list[str]:
    """Return the overrides for resume=PATH: those of the run, replaced by typed ones with the same key."""
    if not path.exists():
        raise UserError(f"resume={path}: no such run{path_hint(path) or '; gan runs lists the runs'}")
    run = run_folder.folder_of(path)
    if not (run / run_folder.OVERRIDES).exists():
        hint = run_folder.hint_inside(run) or "init_from= loads weights only"
        raise UserError(f"resume={path}: {run} is not a run folder: it has no {run_folder.OVERRIDES}; {hint}")
    typed = with_total(with_new_length(without(typed, "hydra.run.dir")), run)
    kept = without(read_overrides(run / run_folder.OVERRIDES, typed), *map(key_of, typed))
    merged = [*kept, *typed]
    cfg = compose(merged)
    if cfg.init_from:
        from gan.config.init_from import with_networks

        merged = with_networks(merged, cfg, run)
        cfg = compose(merged)
    check_options(cfg)
    new_run.check(literals(cfg), resumed=True)
    check_same(run, cfg)
    return with_folder(merged, run, decide_on_rank_0(run, lambda: choose_checkpoint(run, path, cfg)))


def with_new_length(typed: list[str]) -> list[str]:
    """Return the overrides; if they set only one of images and minutes, also set the other to null."""
    for name, other in (("images", "minutes"), ("minutes", "images")):
        if value_of(typed, name) not in (None, "null") and value_of(typed, other) is None:
            return [*typed, f"{other}=null"]
    return typed


def with_total(typed: list[str], run: Path) -> list[str]:
    """Return the overrides, with a length such as minutes=+10 added to that of the newest checkpoint of the run."""
    saved = checkpoints.list_checkpoints(run)
    for name in ("images", "minutes"):
        if saved and str(value_of(typed, name)).startswith("+"):
            newest = checkpoints.read_sidecar(saved[-1])
            done = newest["images"] if name == "images" else (newest.get("seconds") or 0) / 60
            typed = [*without(typed, name), f"{name}={done + typed_value(typed, name)}"]
    return typed


def choose_checkpoint(run: Path, path: Path, cfg: DictConfig) -> Path:
    """Lock and repair a folder, and return the checkpoint for resume=PATH; move those after PATH aside."""
    lock.acquire(run)
    remote.fetch_run(cfg.remote, run)
    if path.is_file():
        if damage := checkpoints.find_damage(path):
            raise UserError(f"resume={path}: damaged, {damage}; resume={run} uses the newest undamaged checkpoint")
        checkpoints.repair(run)
        checkpoints.set_aside_later(run, checkpoints.images_of(path))
        return path
    checkpoint = checkpoints.repair(run)
    if checkpoint is None:
        raise UserError(f"resume={run}: has no undamaged checkpoint; train again in another folder")
    if not is_unfinished(checkpoint, cfg):
        before, seen = run_folder.read_config(run), f"{checkpoints.images_of(checkpoint):,} images"
        is_new = any(before.get(name) != cfg[name] for name in ("images", "minutes"))  # it would be stored
        reached = f"{run} has already seen {seen}, {'more than ' * is_new}the length that is set"
        line = f"{reached}; to continue, add images=+N or minutes=+N"
        if is_new:
            raise UserError(line)
        print_line(line)
    return checkpoint


# ---- the overrides of an untrusted run folder

REPEAT = "if you trust it, repeat it on the command line"
OWN_FILE = "if it is your own, add --config-dir DIR, as when the run was started"
# Options that decide where files are written and values are sent, and options of Hydra.
FORBIDDEN = re.compile(
    r"hydra\b.*|(callback|logger)\.\w+\.(run|resumed_at)|logger\.\w+\.(entity|tracking_uri|space_id|server_url)"
    r"|resume|resume_force|remote"
)
EXTRACTORS = "callback.evaluate.extractors"
NAME = r"[A-Za-z0-9_]+"
NULL_AS_TEXT = {f"{key}=''": f"{key}=null" for key in READ_PATHS}  # null was once stored as an empty text


def read_overrides(path: Path, typed: Sequence[str]) -> list[str]:
    """Return the overrides of an untrusted run folder: existing options with plain values.

    Print the paths that training will read because of them. Overrides in `typed` (the command line) are trusted and
    replace stored ones with the same key.

    Raises:
        UserError: the file cannot be read, or an override could run code, reads the environment, or writes
            outside of the run folder.
    """
    stored_words = without(run_folder.read_overrides(path.parent), *REMOVED)
    words = [NULL_AS_TEXT.get(word, word) for word in stored_words]
    replaced = {key_of(word) for word in typed}
    untrusted = {word: plain_assignment(path, word) for word in words if key_of(word) not in replaced}
    groups = [word for word, (key, value) in untrusted.items() if selects_files(key, value)]
    known = options([*groups, *(word for word in typed if is_group(key_of(word)))]) if untrusted else {}
    for word, (key, value) in untrusted.items():
        if key not in known and is_under(key, filter(is_group, replaced)):  # of another model than the typed one
            words.remove(word)
            continue
        if word not in groups and (fault := reason_to_refuse(key, value, known)):
            raise refusal(path, word, fault, OWN_FILE if is_group(key) else REPEAT)
        if reads_data(key, value):
            print_line(f"{path.parent}: reads {key}={value}")
    return words


def is_accepted(word: str) -> bool:
    """Return whether resuming takes an override from a run folder, as far as it does not depend on conf/."""
    try:
        key, value = plain_assignment(Path(), word)
    except UserError:
        return False
    return is_group(key) or not reason_to_refuse(key, value, {key: value})


def plain_assignment(path: Path, word: str) -> tuple[str, Any]:
    """Return key and value of KEY=VALUE with a plain value, as Hydra parses it; raise UserError for anything else."""
    brackets = word.count("[") + word.count("{")
    if brackets > 1 or len(word) > 100_000:  # each bracket is a level of recursion in the parser
        raise refusal(path, word, "its value is neither a scalar nor a list of scalars")
    try:
        override = parse(word)
    except (HydraException, RecursionError) as error:
        raise refusal(path, word, "it is not KEY=VALUE") from error
    if override.type != OverrideType.CHANGE or override.package or override.is_sweep_override():
        raise refusal(path, word, "it is not KEY=VALUE")
    if not is_plain(value := override.value()):
        raise refusal(path, word, "its value is neither a scalar nor a list of scalars")
    return override.key_or_group, value


def refusal(path: Path, word: str, fault: str, advice: str = REPEAT) -> UserError:
    return UserError(f"{path}: {word[:200]!r} is refused: {fault}; {advice}")


def reason_to_refuse(key: str, value: object, known: dict[str, Any]) -> str | None:
    """Return why an option is not accepted from a file, or None; `known` are the options of the configuration."""
    if is_group(key):
        return " or ".join(f"there is no such file in {folder.name}/{key}" for folder in folders())
    if FORBIDDEN.fullmatch(key):
        return "a run folder may not set where files are written or values are sent, or options of Hydra"
    if any(part.startswith("_") for part in key.split(".")):
        return "a run folder may not name classes"
    if key not in known:
        return "there is no such option"
    if key == EXTRACTORS and not all(re.fullmatch(NAME, str(name)) for name in as_list(value)):
        return "a run folder may not name classes"
    return None


def selects_files(key: str, value: object) -> bool:
    """Return whether an override chooses files of a group, which all exist in conf/ or the folder of --config-dir."""
    return is_group(key) and set(as_list(value)) <= set(group_names(key))


# ---- the configuration of a run


def check_same(run: Path, cfg: DictConfig) -> None:
    """Raise UserError, which names differences, if a run has another configuration and resume_force is not set."""
    if not cfg.resume_force and (changes := differences(run, cfg)):
        default, now = compose([]).hydra.runtime.choices.model, cfg.hydra.runtime.choices.model
        if (model := run_folder.read_choices(run).get("model", default)) != now:  # the cause of most differences
            changes = [f"model: {model} -> {now}", *changes]
        shown = first_few(changes, MAX_CHANGES, "; ")
        advice = f"leave out these options, start a new run with init_from={run}, or set resume_force=true"
        raise UserError(f"{run} has another configuration: {shown}; {advice}")


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
    keys = [key for key in sorted({*old, *new}) if not is_under(key, (*FREE, *DERIVED, *REMOVED))]
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in keys if old.get(key) != new.get(key)]


def is_unfinished(checkpoint: Path, cfg: DictConfig) -> bool:
    saved = checkpoints.read_sidecar(checkpoint)
    enough_images = cfg.images is not None and saved["images"] >= cfg.images
    enough_minutes = cfg.minutes is not None and (saved.get("seconds") or 0) >= 60 * cfg.minutes
    return not (enough_images or enough_minutes)


# ---- several ranks


def decide_on_rank_0(run: Path, decide: Callable[[], Path | None]) -> Path | None:
    """Return, on all ranks started by torchrun or SLURM, the checkpoint from which rank 0 decides to resume.

    If rank 0 does not lock the folder that this rank sees, return None: rank 0 has another folder, and waits for this
    rank. `gan.training.callbacks.agreement` then ends both.
    """
    job, record = job_name(), run / run_folder.DECISION
    if job is None or is_child():
        return decide()
    if global_rank() == 0:
        chosen = decide()
        write_json(record, {"job": job, "checkpoint": chosen and str(chosen)})
        return chosen
    start = time.monotonic()
    while (waited := time.monotonic() - start) < DECISION + lock.LEASE or lock.is_held(run):  # it may download a copy
        with suppress(OSError, ValueError, KeyError, TypeError):
            decision = read_json(record)
            if decision["job"] == job:
                return Path(decision["checkpoint"]) if decision["checkpoint"] else None
        if waited > UNSEEN and not (run / run_folder.LOCK).exists():
            return None
        time.sleep(lock.POLL)
    raise UserError(f"{run}: rank 0 did not choose a checkpoint in time; can all machines access this folder?")


def job_name() -> str | None:
    """Return an identifier that all ranks of this start share; None for a single process."""
    if num_external_ranks() == 1:
        return None
    names = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
             "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")  # fmt: skip
    return json.dumps([os.environ.get(name) for name in names])
