"""train.py on the command line: the run folder, exact resume, signals, sweeps, two ranks, and invalid input."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan.cli import main
from gan.runs import checkpoints
from gan.runs.checkpoint_file import load
from gan.runs.metrics import read_metrics
from tests.conftest import ROOT, TINY, Train, run_python
from tests.patience import PATIENCE, wait_for
from tests.programs import Forked


def weights(run: Path, images: int) -> dict[str, torch.Tensor]:
    return load(checkpoints.checkpoint_path(run, images))["state_dict"]


def state(run: Path, images: int) -> dict[str, Any]:
    """Return all parts of a checkpoint that must not depend on interruptions."""
    checkpoint = load(checkpoints.checkpoint_path(run, images))
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "global_step", "images", "pending")}


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def test_a_run_is_one_folder(train: Train, tmp_path: Path) -> None:
    out = train("images=32", "hydra.run.dir=runs/a").stdout
    run = tmp_path / "runs" / "a"
    names = sorted(path.name for path in run.iterdir() if "tfevents" not in path.name)
    assert names == ["checkpoints", "config.yaml", "environment.jsonl", "metrics.jsonl", "overrides.yaml", "samples"]
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["000000016.png", "000000032.png", "reals.png"]
    kept = sorted(p.name for p in (run / "checkpoints").glob("*.ckpt"))
    assert kept[-2:] == ["images-000000024.ckpt", "images-000000032.ckpt"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert yaml.safe_load((run / "config.yaml").read_text())["data"]["size"] == 16
    assert json.loads((run / "environment.jsonl").read_text())["packages"]["torch"]
    lines = read_metrics(run / "metrics.jsonl")
    assert [line["images"] for line in lines if "loss/generator" in line] == [8, 16, 24, 32]
    assert [line["images"] for line in lines if "eval/kid_x1000_random_conv" in line] == [16, 32]
    events = EventAccumulator(str(run)).Reload()
    assert [event.step for event in events.Scalars("loss/discriminator")] == [8, 16, 24, 32]
    assert [event.step for event in events.Images("samples/generated")] == [16, 32]
    assert [event.step for event in events.Images("samples/real")] == [0]
    assert "32 images · " in out and "grid: runs/a/samples/000000032.png" in out
    best = checkpoints.best_record(run) or {}
    assert ("the best checkpoint is" in out) == (best["images"] != 32)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "workers"), [("32-true", 0), ("bf16-mixed", 2)])
def test_n_resume_n_is_2n_to_the_bit(precision: str, workers: int, train: Train, tmp_path: Path) -> None:
    options = [f"trainer.precision={precision}", f"data.num_workers={workers}", "augment=diffaugment"]
    train(*options, "images=56", "hydra.run.dir=whole")
    train(*options, "images=28", "hydra.run.dir=parts")  # in mid-epoch (24 images), and between two lines of losses
    train("resume=parts", "images=56")
    assert equal(state(tmp_path / "whole", 56), state(tmp_path / "parts", 56))

    def values(run: str) -> list[dict[str, float]]:
        lines = read_metrics(tmp_path / run / "metrics.jsonl")
        lines = [{k: v for k, v in line.items() if not k.startswith(("time", "seconds"))} for line in lines]
        return [line for line in lines if line["images"] != 28]

    assert values("whole") == values("parts")


@pytest.mark.slow
def test_after_kill_9_the_run_goes_on_to_the_same_bits(train: Train, tmp_path: Path) -> None:
    train("images=160", "hydra.run.dir=whole")
    process = start("images=160", "hydra.run.dir=killed", folder=tmp_path)
    wait_for(lambda: len(checkpoints.list_checkpoints(tmp_path / "killed")) >= 2, process)
    process.kill()
    process.wait()
    assert not checkpoints.checkpoint_path(tmp_path / "killed", 160).exists()
    with open(tmp_path / "killed" / "metrics.jsonl", "a") as file:
        file.write('{"images": 9999, "loss/generator": 1.0}\n{"torn')  # past the checkpoint: to be cut
    train("images=160", "hydra.run.dir=killed", "resume=auto")
    assert equal(state(tmp_path / "whole", 160), state(tmp_path / "killed", 160))
    lines = [line["images"] for line in read_metrics(tmp_path / "killed" / "metrics.jsonl") if "loss/generator" in line]
    assert lines == list(range(8, 161, 8))


@pytest.mark.slow
def test_another_configuration_can_be_forced(train: Train, tmp_path: Path) -> None:
    train("images=16", "model.generator_optimizer.lr=8e-4", "hydra.run.dir=a")
    train("resume=a", "images=24", "model.generator_optimizer.lr=1e-3", "resume_force=true")
    saved = load(checkpoints.checkpoint_path(tmp_path / "a", 24))
    assert saved["optimizer_states"][0]["param_groups"][0]["lr"] == 1e-3


@pytest.mark.slow
def test_a_shared_model_of_another_kind_starts_a_run_that_resumes_to_the_same_bits(
    train: Train, tmp_path: Path
) -> None:
    train("images=16", "hydra.run.dir=a")
    words = ["share", str(tmp_path / "a"), str(tmp_path / "shared"), "--license", "cc0-1.0"]
    main([*words, "--fp16", "--discriminator", "--no-samples"])
    options = ["init_from=shared", "freeze.discriminator=1"]
    options += ["data.size=32", "data.channels=4", "data.classes=[sprite,neon]"]
    out = train(*options, "images=56", "hydra.run.dir=whole").stdout
    assert "init_from=" in out and "discriminator: " in out and "cut or extended: from_image" in out
    train(*options, "images=28", "hydra.run.dir=parts")
    train("resume=parts", "images=56", tiny=False)
    whole = state(tmp_path / "whole", 56)
    assert equal(whole, state(tmp_path / "parts", 56))
    first = "discriminator.from_image.0.weight"
    frozen = weights(tmp_path / "a", 16)[first].half().float()
    assert torch.equal(whole["state_dict"][first][:, :3], frozen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "option"),
    [
        (signal.SIGTERM, 143, "data.num_workers=2"),
        (signal.SIGINT, 130, "data.num_workers=2"),
        (signal.SIGTERM, 143, "trainer.devices=2"),
        (signal.SIGHUP, 129, "data.num_workers=2"),
    ],
)
def test_signals_save_and_exit(number: int, code: int, option: str, train: Train, tmp_path: Path) -> None:
    process = start("images=100000", "hydra.run.dir=a", option, folder=tmp_path)
    wait_for(lambda: checkpoints.list_checkpoints(tmp_path / "a"), process)
    if option == "trainer.devices=2":
        process.send_signal(number)  # as a scheduler does, to one process
    else:
        os.killpg(process.pid, number)  # as a terminal does, to the workers too
    assert process.wait(PATIENCE) == code, (tmp_path / "out").read_text()
    images = checkpoints.images_of(checkpoints.find_checkpoint(tmp_path / "a", "last"))
    assert f"stopped at {images:,} images" in (tmp_path / "out").read_text()
    train("resume=a", f"images={images + 8}")
    assert checkpoints.checkpoint_path(tmp_path / "a", images + 8).exists()


@pytest.mark.slow
@pytest.mark.parametrize(("early", "answer"), [(True, ""), (False, "echo Job has finished >&2; exit 1")])
def test_a_job_of_slurm_is_requeued_before_its_time_limit(
    early: bool, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/requested\n{answer}\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    process = start("images=100000", "hydra.run.dir=a", folder=tmp_path)
    wait_for(lambda: list((tmp_path / "a").glob("config.yaml" if early else "checkpoints/*.ckpt")), process)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(PATIENCE) == 138, (tmp_path / "out").read_text()
    assert (tmp_path / "requested").read_text() == "requeue 77\n"
    images = checkpoints.images_of(checkpoints.find_checkpoint(tmp_path / "a", "last"))
    result = "scontrol requeue 77: Job has finished" if answer else "SLURM job 77 is requeued and continues this run"
    said = (tmp_path / "out").read_text()
    assert f"stopped at {images:,} images" in said and said.endswith(f"{result}\n")


@pytest.mark.slow
def test_a_sweep_writes_a_folder_a_job_and_goes_on(train: Train, tmp_path: Path) -> None:
    sweep = ["-m", "seed=0,1", "images=16"]
    train(*sweep)
    sweep += ["resume=auto"]
    (folder,) = (tmp_path / "runs").iterdir()
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["0", "1"]
    assert [yaml.safe_load((folder / job / "config.yaml").read_text())["seed"] for job in "01"] == [0, 1]
    before = {job: (folder / job / "metrics.jsonl").read_text() for job in "01"}
    train(*sweep)
    assert list((tmp_path / "runs").iterdir()) == [folder]
    assert {job: (folder / job / "metrics.jsonl").read_text() for job in "01"} == before


@pytest.mark.slow
def test_two_ranks_agree_on_a_checkpoint_that_a_score_asks_for(train: Train, tmp_path: Path) -> None:
    """Only rank 0 evaluates, but both ranks must save a checkpoint that only the score makes due."""
    options = ["callback.evaluate.interval=4", "callback.checkpoint.interval=1000", "callback.checkpoint.keep=9"]
    train(*options, "images=16", "trainer.devices=2", "hydra.run.dir=a")
    best = checkpoints.best(tmp_path / "a")
    assert best is not None and checkpoints.find_damage(best) is None


@pytest.mark.slow
def test_a_diverging_job_does_not_end_a_sweep_on_two_ranks(train: Train, tmp_path: Path) -> None:
    train("-m", "model.discriminator_optimizer.lr=1e18,1e-4", "images=16", "trainer.devices=2", "hydra.sweep.dir=two")
    assert not checkpoints.checkpoint_path(tmp_path / "two" / "0", 16).exists()
    assert checkpoints.checkpoint_path(tmp_path / "two" / "1", 16).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["data.size=65"], "size 65x65"),  # found by a network
        (["-m", "seed=0,1", "hydra/launcher=ray"], "retro-gan[ray]"),
        (["trainer.precision=foo"], "foo"),  # by Lightning
        (["hydra.run.dir=file.txt/x"], "file.txt"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(typed: list[str], said: str, train: Train, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("text")
    error = train("images=8", *typed, check=2).stderr.strip()
    lines = [line for line in error.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0], error
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_full_disk_does_not_end_the_run(tmp_path: Path) -> None:
    """Files are limited to 8 kB: checkpoints cannot be saved, training continues to its end and reports the failure."""
    code = (
        "import resource, signal, runpy, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)); sys.argv = sys.argv[1:];"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    words = [str(ROOT / "train.py"), *TINY, "images=32", "hydra.run.dir=a", "data.num_images=4"]
    result = run_python(["-B", "-c", code, *words], tmp_path)  # -B: compiled modules are files, too, and would be torn
    assert result.returncode == 2, result.stderr
    assert "not saved" in result.stderr.splitlines()[-1] and "32 images" in result.stdout
    assert result.stdout.count("tensorboard: not logged (") == 1
    assert not list((tmp_path / "a" / "checkpoints").glob("*.ckpt"))


def start(*overrides: str, folder: Path) -> Forked:
    return Forked([str(ROOT / "train.py"), *TINY, *overrides], folder, folder / "out", session=True)


@pytest.mark.slow
def test_a_run_folder_that_is_removed_is_not_made_again(tmp_path: Path) -> None:
    process = start("images=100000", "hydra.run.dir=a", folder=tmp_path)
    wait_for(lambda: checkpoints.list_checkpoints(tmp_path / "a"), process)
    wait_for(lambda: list((tmp_path / "a").glob("events.out.tfevents.*")), process)  # TensorBoard is imported meanwhile
    while (tmp_path / "a").exists():  # it goes on writing meanwhile
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
    assert process.wait(PATIENCE) == 2
    last = (tmp_path / "out").read_text().splitlines()[-1]
    assert "this folder was removed" in last and not (tmp_path / "a").exists()
