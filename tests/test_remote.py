"""Training, resuming and other commands with a run in object storage (an S3 service on this machine)."""

import json
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan.config.launch import words_of_start
from gan.runs.checkpoints import list_checkpoints
from gan.runs.lock import release, removed_unless_trained
from gan.runs.metrics import read_metrics
from gan.runs.remote import fetch_record, fetch_run
from gan.runs.run_folder import is_run
from gan.utils.errors import UserError
from gan.utils.object_store import Store
from tests.conftest import TINY, Train
from tests.data.test_stream import parts, stream
from tests.shards import write_shards
from tests.store import SECRET, s3, unreachable
from tests.test_train import equal, state

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3(monkeypatch) as address:
        yield address


def test_a_run_in_a_bucket_is_resumed_evaluated_and_generated_from_there(
    bucket: str, train: Train, gan_command: Train, tmp_path: Path
) -> None:
    address, runs = f"{bucket}/runs/a", tmp_path / "runs"
    out = train("images=32", f"remote={address}").stdout
    assert "uploaded to s3://bucket/runs/a" in out
    shutil.rmtree(runs)  # the machine is lost
    assert "downloading s3://bucket/runs/a to runs/a" in train(f"resume={address}", "images=64", tiny=False).stdout
    train("images=64", "hydra.run.dir=runs/straight")
    assert equal(state(runs / "a", 64), state(runs / "straight", 64))
    clocks = ("time", "seconds")
    values = [
        [{name: value for name, value in line.items() if name not in clocks and not name.startswith("time/")}
         for line in read_metrics(run / "metrics.jsonl")]
        for run in (runs / "a", runs / "straight")
    ]  # fmt: skip
    assert [line["images"] for line in values[0]] == [line["images"] for line in values[1]]
    shutil.rmtree(runs)
    gan_command("generate", address, "--seeds", "0-3")
    assert len(list((tmp_path / "generated").glob("*.png"))) == 4
    out = gan_command("evaluate", address, "--images", "8", "--extractor", "random_conv").stdout
    assert out.startswith("s3://bucket/runs/a: 8 images against")
    Store(address).download("evaluation.jsonl", tmp_path / "uploaded")
    lines = (tmp_path / "uploaded").read_text().splitlines()
    assert any(json.loads(line)["metric"] == "kid_x1000" for line in lines)
    assert "s3://bucket/runs/a" in gan_command("compare", address).stdout
    logged = EventAccumulator(address)
    logged.Reload()
    assert "loss/generator" in logged.Tags()["scalars"]
    train(f"init_from={address}", "images=8", "hydra.run.dir=runs/next")
    assert not list(tmp_path.rglob("*secret*")) and SECRET not in (runs / "next" / "config.yaml").read_text()


def test_another_configuration_changes_nothing(
    bucket: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{bucket}/runs/a"
    train("images=16", f"remote={address}")
    monkeypatch.chdir(tmp_path)
    before = Store(address).list()
    for words in ([f"remote={address}", "resume=auto"], [f"resume={address}"]):
        with pytest.raises(UserError, match="runs/c has another configuration"), removed_unless_trained():
            words_of_start([*TINY, *words, "data.batch_size=8", "hydra.run.dir=runs/c"])
        assert Store(address).list() == before and not (tmp_path / "runs" / "c").exists()


def test_a_store_that_fails_during_training(
    bucket: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{bucket}/runs/a"
    train("images=16", f"remote={address}")
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    unreachable(monkeypatch)
    error = train("resume=runs/a", "images=32", f"remote={address}", tiny=False, check=2).stderr
    assert error.startswith(f"error: remote={address}: Could not connect to the endpoint URL")
    train("resume=runs/a", "images=32", tiny=False)  # without uploads
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    train("resume=runs/a", f"remote={address}", tiny=False)
    assert "checkpoints/images-000000032.json" in Store(address).list()


def test_shards_in_a_bucket(bucket: str, tmp_path: Path) -> None:
    import boto3

    shards = write_shards(tmp_path / "shards", parts(40, side=16), {"cat": 80, "dog": 80})
    for path in shards.iterdir():
        boto3.client("s3").upload_file(str(path), "bucket", f"shards/{path.name}")
    here, there = (stream(root, labels=True) for root in (shards, f"{bucket}/shards"))
    for one, other in zip(*(islice(data.train_dataloader(), 20) for data in (here, there)), strict=True):
        assert torch.equal(one["image"], other["image"]) and torch.equal(one["label"], other["label"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resume=s3://bucket/none"], "resume=s3://bucket/none: there is no run with a checkpoint; check the URL"),
        (["remote=s3://other/a"], "remote=s3://other/a: the service refuses it with NoSuchBucket; check the "
         "credentials and the URL"),
        (["remote=s3://bucket"], "remote=s3://bucket: is not the URL of a folder in object storage; give one such "
         "as s3://BUCKET/runs/NAME"),
        (["-m", "seed=0,1", "remote=s3://bucket/a"], "remote=s3://bucket/a: a sweep has one folder for each job, but "
         "this is one URL; leave it out"),
    ],
)  # fmt: skip
def test_wrong_addresses(
    words: list[str], message: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error, removed_unless_trained():
        words_of_start([*TINY, *words])
    assert str(error.value) == message and not list(tmp_path.iterdir())


def test_a_copy_is_not_overwritten(bucket: str, train: Train, tmp_path: Path) -> None:
    train("images=16", f"remote={bucket}/runs/a")
    again = train("images=16", f"remote={bucket}/runs/a", "hydra.run.dir=runs/b", check=2).stderr
    assert again.strip() == (
        "error: remote=s3://bucket/runs/a: holds a run; use another URL, or resume=s3://bucket/runs/a"
    )
    train("images=16", "hydra.run.dir=runs/c")
    other = train("images=16", f"remote={bucket}/runs/a", "resume=auto", "hydra.run.dir=runs/c", check=2).stderr
    assert other.strip() == (
        "error: runs/c: is not the run at s3://bucket/runs/a; use another folder with hydra.run.dir="
    )


def test_the_next_start_goes_on_after_a_failed_or_killed_one(
    bucket: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, run = f"{bucket}/runs/a", tmp_path / "runs" / "a"
    train("images=16", f"remote={address}")
    shutil.rmtree(run)
    error = train("images=16", f"remote={address}", "resume=auto", "data.batch_size=8", check=2).stderr
    assert error.startswith("error: runs/a has another configuration")
    assert "24 images" in train("images=24", f"remote={address}", "resume=auto").stdout
    shutil.rmtree(run)
    monkeypatch.chdir(tmp_path)
    download, names = Store.download, []

    def killed(store: Store, name: str, path: Path) -> None:
        if name.startswith("checkpoints/") and names:
            raise MemoryError  # as SIGKILL, without cleanup
        names.append(name)
        download(store, name, path)

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Store, "download", killed)
        fetch_record(address, run, resumes=True)
        fetch_run(address, run)
    release()
    assert is_run(run) and not list_checkpoints(run)
    assert "32 images" in train("images=32", f"remote={address}", "resume=auto").stdout
