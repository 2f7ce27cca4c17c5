"""A run folder and its copy in object storage, with an S3 service on this machine."""

import hashlib
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.runs import checkpoints
from gan.runs.remote import RemoteRun
from gan.utils.files import write_json
from gan.utils.object_store import StoreError
from tests.patience import wait_for
from tests.programs import ROOT, Forked
from tests.store import s3

pytestmark = pytest.mark.slow

KILLS = 20


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3(monkeypatch) as address:
        yield address


def save(run: Path, images: int, size: int = 1000) -> Path:
    """Write a checkpoint of random bytes with its sidecar."""
    path = checkpoints.checkpoint_path(run, images)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = random.Random(images).randbytes(size)
    write_json(checkpoints.sidecar(path), {"sha256": hashlib.sha256(data).hexdigest(), "bytes": size, "images": images})
    path.write_bytes(data)
    return path


def started(address: str, run: Path) -> RemoteRun:
    """Return the copy of a run that has just started in a folder."""
    run.mkdir(parents=True, exist_ok=True)
    remote = RemoteRun(address, run)
    remote.pull()
    return remote


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_another_machine_gets_the_same_files(bucket: str, tmp_path: Path) -> None:
    run, other = tmp_path / "a", tmp_path / "b"
    remote = started(f"{bucket}/runs/a", run)
    save(run, 64)
    (run / "metrics.jsonl").write_text("{}\n")
    (run / ".lock").write_text("")
    remote.push()
    again = RemoteRun(f"{bucket}/runs/a", other)
    again.pull()
    assert names(other) == [".remote.json", *[name for name in names(run) if not name.startswith(".")]]
    assert checkpoints.find_damage(checkpoints.checkpoint_path(other, 64)) is None


def test_only_changes_are_uploaded(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = started(f"{bucket}/a", tmp_path / "a")
    save(remote.run, 64)
    remote.push()
    uploaded: list[str] = []
    monkeypatch.setattr(remote.store, "upload", lambda path, name: uploaded.append(name))
    remote.push()
    assert uploaded == []
    (remote.run / "metrics.jsonl").write_text("{}\n")
    monkeypatch.setattr(remote.store, "tag_of", lambda name: "tag")
    remote.push()
    assert uploaded == ["metrics.jsonl"]


def test_removed_checkpoints_are_removed_after_new_ones_are_there(bucket: str, tmp_path: Path) -> None:
    remote = started(f"{bucket}/a", tmp_path / "a")
    old = save(remote.run, 64)
    remote.push()
    save(remote.run, 128)
    checkpoints.remove(old)
    calls: list[str] = []
    upload, remove = remote.store.upload, remote.store.remove
    remote.store.upload = lambda path, name: (calls.append(f"+{Path(name).name}"), upload(path, name))[1]
    remote.store.remove = lambda name: (calls.append(f"-{Path(name).name}"), remove(name))[1]
    remote.push()
    assert calls == ["+images-000000128.ckpt", "+images-000000128.json", "-images-000000064.json",
                     "-images-000000064.ckpt"]  # fmt: skip
    assert sorted(remote.store.list()) == ["checkpoints/images-000000128.ckpt", "checkpoints/images-000000128.json"]


@pytest.mark.parametrize("lost", ["the folder", "the contents", "the checkpoints"])
def test_a_lost_run_folder_loses_no_checkpoint_of_the_copy(lost: str, bucket: str, tmp_path: Path) -> None:
    remote = started(f"{bucket}/a", tmp_path / "a")
    save(remote.run, 64)
    (remote.run / "metrics.jsonl").write_text("{}\n")
    remote.push()
    before = remote.store.list()
    shutil.rmtree(remote.run / "checkpoints" if lost == "the checkpoints" else remote.run)
    if lost == "the folder":
        with pytest.raises(FileNotFoundError):
            remote.push()
        assert not remote.run.exists()
    else:
        remote.run.mkdir(exist_ok=True)
        remote.push()
    assert remote.store.list() == before


def test_a_checkpoint_that_is_replaced_during_its_upload_leaves_the_one_before(bucket: str, tmp_path: Path) -> None:
    remote = started(f"{bucket}/a", tmp_path / "a")
    old = save(remote.run, 64)
    remote.push()
    new = save(remote.run, 128)
    checkpoints.remove(old)
    upload = remote.store.upload

    def late(path: Path, name: str) -> None:
        checkpoints.remove(new)
        upload(path, name)

    remote.store.upload = late
    remote.push()
    assert {"checkpoints/images-000000064.ckpt", "checkpoints/images-000000064.json"} <= remote.store.list().keys()


def test_a_copy_that_was_removed_is_uploaded_again(bucket: str, tmp_path: Path) -> None:
    remote = started(f"{bucket}/a", tmp_path / "a")
    save(remote.run, 64)
    remote.push()
    before = remote.store.list().keys()
    for name in before:
        remote.store.remove(name)
    remote.push()
    assert remote.store.list().keys() == before


def test_a_run_that_was_continued_elsewhere(bucket: str, tmp_path: Path) -> None:
    first = started(f"{bucket}/a", tmp_path / "a")
    save(first.run, 64)
    first.push()
    second = started(f"{bucket}/a", tmp_path / "b")
    save(first.run, 128)  # and the process is killed before the upload
    save(second.run, 96)
    second.push()
    again = started(f"{bucket}/a", first.run)  # its own checkpoint is moved aside
    assert [path.name for path in checkpoints.list_checkpoints(again.run)] == [
        "images-000000064.ckpt", "images-000000096.ckpt"]  # fmt: skip
    assert len(list(first.run.glob("checkpoints/set-aside-*/images-000000128.ckpt"))) == 1


def test_what_could_not_be_uploaded_is_kept_by_the_same_machine(bucket: str, tmp_path: Path) -> None:
    first = started(f"{bucket}/a", tmp_path / "a")
    save(first.run, 64)
    first.push()
    save(first.run, 128)  # and the process is killed
    (first.run / "metrics.jsonl").write_text("new\n")
    again = started(f"{bucket}/a", first.run)
    again.push()
    assert "checkpoints/images-000000128.json" in again.store.list()
    again.store.download("metrics.jsonl", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "new\n"


def test_an_interrupted_download_goes_on(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = started(f"{bucket}/a", tmp_path / "a")
    save(first.run, 64)
    save(first.run, 128)
    first.push()
    second = RemoteRun(f"{bucket}/a", tmp_path / "b")
    download, done = second.store.download, []

    def fail_later(name: str, path: Path) -> None:
        if done:
            raise StoreError("it cannot be reached")
        done.append(name)
        download(name, path)

    monkeypatch.setattr(second.store, "download", fail_later)
    with pytest.raises(StoreError):
        second.pull()
    third = RemoteRun(f"{bucket}/a", second.run)
    third.pull()
    assert checkpoints.find_checkpoint(third.run, "last") == checkpoints.checkpoint_path(third.run, 128)


@pytest.mark.parametrize("name", ["../outside.txt", "checkpoints/../../outside.txt", ".lock", "a b", "a/b/c/d/e"])
def test_other_names_are_not_downloaded(name: str, bucket: str, tmp_path: Path) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket="bucket", Key=f"a/{name}", Body=b"x")
    boto3.client("s3").put_object(Bucket="bucket", Key="a/config.yaml", Body=b"x")
    (tmp_path / "in").mkdir()
    RemoteRun(f"{bucket}/a", tmp_path / "in" / "a").pull()
    assert names(tmp_path) == ["in/a/.remote.json", "in/a/config.yaml"]


UPLOADS = """
import sys, hashlib
from pathlib import Path
from gan.runs import checkpoints
from tests.runs.test_remote import started, newest, save
address, run = sys.argv[1], Path(sys.argv[2])
remote = started(address, run)
remote.write_record()
images = newest(run)
while True:
    images += 8
    save(run, images, 20_000_000)
    for old in checkpoints.list_checkpoints(run)[:-2]:
        checkpoints.remove(old)
    print("begin", images, flush=True)
    remote.push()
    print("end", images, flush=True)
"""


def newest(run: Path) -> int:
    """Return the number of images of the newest checkpoint, 0 if there is none."""
    return max((checkpoints.images_of(path) for path in checkpoints.list_checkpoints(run)), default=0)


def test_kills_during_uploads_lose_nothing(bucket: str, tmp_path: Path) -> None:
    """After each kill the machine is lost. Another one finds the last checkpoint whose upload had ended, or a later."""
    address, uploaded, interrupted = f"{bucket}/runs/a", 0, 0
    for kill in range(KILLS):
        run, log = tmp_path / str(kill), tmp_path / f"{kill}.log"
        RemoteRun(address, run).pull()
        process = Forked(["-c", UPLOADS, address, str(run)], ROOT, log)
        wait_for(lambda log=log: log.exists() and "begin" in log.read_text(), process)
        time.sleep(random.Random(kill).uniform(0, 0.5))
        process.kill()
        process.wait()
        lines = [line.split() for line in log.read_text().splitlines()]
        interrupted += lines[-1][0] == "begin"
        uploaded = max([uploaded, *(int(images) for word, images in lines if word == "end")])
        lost = tmp_path / "new machine"
        RemoteRun(address, lost).pull()
        assert newest(lost) >= uploaded
        assert all(checkpoints.find_damage(path) is None for path in checkpoints.list_checkpoints(lost))
        for folder in (run, lost):
            shutil.rmtree(folder, ignore_errors=True)  # there is none if no upload had ended
    assert interrupted > KILLS / 4, "most kills came between two uploads"
