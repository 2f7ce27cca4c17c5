"""Loggers: each shows scalars, grids and the configuration against images seen, in one run after a resume."""

import csv
import io
import json
import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan.config.compose import check_packages, compose
from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.training.loggers import adapter
from gan.training.loggers.adapter import Adapter
from gan.training.loggers.files import CSV
from gan.training.loggers.services import read_id, write_id
from gan.utils.errors import UserError
from tests.conftest import Train

buffer = io.BytesIO()
Image.new("RGB", (2, 2)).save(buffer, "png")
PNG = buffer.getvalue()


class Recorder(Logger):
    """A logger of a user, with scalars only."""

    name, version = "recorder", ""

    def __init__(self, fail: int = 0) -> None:
        super().__init__()
        self.fail = fail
        self.seen: list[Any] = []

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        self.fail -= 1
        if self.fail >= 0:
            raise ConnectionError("the server is away")
        self.seen.append((metrics, step))

    def log_hyperparams(self, params: Any) -> None:
        self.seen.append(params)

    def finalize(self, status: str) -> None:
        self.seen.append(status)


def opened(logger: Any, run: Path) -> Adapter:
    found = Adapter("mine", lambda: logger, run)
    found.open()
    return found


def test_a_logger_of_lightning_gets_scalars_and_the_configuration(tmp_path: Path) -> None:
    recorder = Recorder()
    logger = opened(recorder, tmp_path)
    logger.log_config({"seed": 1}, {"seed": 1})
    logger.log_metrics({"loss": 1.0}, 16)
    logger.log_png("samples", PNG, 16)  # it cannot show images
    logger.finalize("success")
    assert recorder.seen == [{"seed": 1, "overrides": {"seed": 1}}, ({"loss": 1.0}, 16), "success"]


def test_a_logger_that_fails_is_reported_once_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(fail=2)
    logger = opened(recorder, tmp_path)
    for images in (1, 2, 3):
        logger.log_metrics({"loss": 1.0}, images)
    logger.finalize("success")
    assert recorder.seen == [({"loss": 1.0}, 3), "success"]
    assert capsys.readouterr().out.splitlines() == [
        "mine: not logged (the server is away); training continues, and metrics.jsonl has all values"
    ]


def test_a_logger_that_never_returns_does_not_block(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()
    monkeypatch.setattr(adapter, "MAX_WAITING", 2)
    monkeypatch.setattr(adapter, "PATIENCE", {"success": 0.05, "failed": 0.05})
    recorder = Recorder()
    monkeypatch.setattr(recorder, "log_metrics", lambda *_: end.wait())
    logger = opened(recorder, tmp_path)
    for images in range(5):
        logger.log_metrics({"loss": 1.0}, images)
    logger.finalize("success")
    end.set()
    out = capsys.readouterr().out
    assert out.count("\n") == 2 and "more than 2 calls wait" in out and "mine: does not answer" in out


def test_a_logger_that_cannot_start_ends_in_one_line(tmp_path: Path) -> None:
    def make() -> Logger:
        raise ValueError("no such\nserver")

    with pytest.raises(UserError, match=r"^logger=mine: no such server$"):
        Adapter("mine", make, tmp_path).open()


def test_csv_grows_columns_and_goes_on_at_the_checkpoint(tmp_path: Path) -> None:
    logger = CSV(str(tmp_path))
    logger.log_metrics({"loss": 1.0}, 8)
    logger.log_metrics({"loss": 0.5, "eval/kid": 2.0}, 16)
    assert rows(tmp_path) == [
        {"images": "8", "loss": "1.0", "eval/kid": ""},
        {"images": "16", "loss": "0.5", "eval/kid": "2.0"},
    ]
    lines = [{"images": 8, "time": 1.5, "seconds": 1.0, "loss": 1.0}, {"images": 16, "time": 2.5, "loss": 0.5}]
    (tmp_path / run_folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    CSV(str(tmp_path), resumed_at=8).log_metrics({"loss": 0.4}, 16)
    assert rows(tmp_path) == [{"images": "8", "loss": "1.0"}, {"images": "16", "loss": "0.4"}]


def rows(run: Path) -> list[dict[str, str]]:
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("stored", ["[1]", '{"wandb": "../x"}', "{"])
def test_an_id_from_a_run_folder_is_checked(stored: str, tmp_path: Path) -> None:
    (tmp_path / run_folder.LOGGERS).write_text(stored)
    assert read_id(tmp_path, "wandb") is None
    write_id(tmp_path, "wandb", "abc-1")
    assert read_id(tmp_path, "wandb") == "abc-1"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else True)
    check_packages(compose(["logger=[tensorboard,csv,mlflow]"]).logger)
    with pytest.raises(UserError, match=r"^logger=wandb: wandb is not installed; pip install 'retro-gan\[wandb\]'$"):
        check_packages(compose(["logger=[csv,wandb]"]).logger)


# ---- whole runs


def interrupted(train: Train, tmp_path: Path, *options: str) -> str:
    """Train to 32 images, lose the last checkpoint, resume at 24 and train to 48. Return the output."""
    out = train("images=32", "hydra.run.dir=runs/a", *options).stdout
    for path in (tmp_path / "runs" / "a" / "checkpoints").glob("images-000000032*"):
        path.unlink()
    return out + train("resume=runs/a", "images=48").stdout


LOSSES = [8, 16, 24, 32, 40, 48]
GRIDS = [16, 32, 48]


def is_grid(name: str) -> bool:
    """Return whether images of this name are generated ones."""
    return name.startswith("samples") and not name.endswith("real")


@pytest.mark.slow
def test_one_logger_needs_no_brackets_beside_one_of_the_user(train: Train, tmp_path: Path) -> None:
    run, mine = tmp_path / "runs" / "a", tmp_path / "mine"
    own = ["+logger.mine._target_=lightning.pytorch.loggers.CSVLogger", f"+logger.mine.save_dir={mine}"]
    train("images=16", "hydra.run.dir=runs/a", "logger=csv", *own)
    assert not list(run.glob("events*"))
    expected = [line["loss/generator"] for line in read_metrics(run / "metrics.jsonl") if "loss/generator" in line]
    assert [float(row["loss/generator"]) for row in rows(run) if row["loss/generator"]] == expected
    (table,) = mine.rglob("metrics.csv")
    assert [int(row["step"]) for row in rows(table.parent) if row["loss/generator"]] == [8, 16]
    assert "num_images: 24" in next(mine.rglob("hparams.yaml")).read_text()


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.slow
def test_mlflow(train: Train, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    out = interrupted(train, tmp_path, "logger=mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("retro-gan").experiment_id])
    name = "loss/generator"
    history = {value.step: value.value for value in client.get_metric_history(run.info.run_id, name)}
    assert [value.step for value in client.get_metric_history(run.info.run_id, name)] == LOSSES
    lines = read_metrics(tmp_path / "runs" / "a" / "metrics.jsonl")
    assert history == {line["images"]: line[name] for line in lines if name in line}
    assert (run.info.status, run.info.run_name) == ("FINISHED", "a")
    assert run.data.params["data/size"] == "16" and run.data.params["overrides/data.size"] == "16"
    grids = [artifact.path for artifact in client.list_artifacts(run.info.run_id, "images")]
    assert sorted({int(re.split("[+%]", path)[2]) for path in grids if "real" not in path}) == GRIDS
    assert not {"mlflow.user", "mlflow.source.name", "mlflow.source.git.commit"} & set(run.data.tags)
    assert out.count(f"mlflow: run {run.info.run_id} in ") == 2


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.slow
def test_wandb_offline(train: Train, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    out = interrupted(train, tmp_path, "logger=wandb", "logger.wandb.mode=offline")
    assert "wandb: offline; send it with: wandb sync runs/a/wandb/offline-run-*" in out
    parts = [list(wandb_records(path)) for path in sorted((tmp_path / "runs" / "a" / "wandb").glob("offline*/*.wandb"))]
    names = {record.run.run_id for part in parts for record in part if record.WhichOneof("record_type") == "run"}
    assert names == {read_id(tmp_path / "runs" / "a", "wandb")}
    for part, losses, grids in zip(parts, ([8, 16, 24, 32], [40, 48]), ([16, 32], [48]), strict=True):
        rows = [r.history.item for r in part if r.WhichOneof("record_type") == "history"]
        values = [
            {item.nested_key[0] if item.nested_key else item.key: item.value_json for item in row} for row in rows
        ]
        assert [int(row["trainer/global_step"]) for row in values if "loss/generator" in row] == losses
        assert [int(row["trainer/global_step"]) for row in values if any(map(is_grid, row))] == grids
    updates = [item for r in parts[0] if r.WhichOneof("record_type") == "config" for item in r.config.update]
    assert json.loads(next(item.value_json for item in updates if item.key == "data"))["size"] == 16
    files = [str(path.relative_to(tmp_path)) for path in (tmp_path / "runs" / "a" / "wandb").rglob("*.png")]
    assert len([path for path in files if "real" not in path]) == 3


def wandb_records(path: Path) -> Iterator[Any]:
    """Yield the records of a .wandb file, which has LevelDB's log format after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    data, place, text = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # the rest of a block is padding
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        text += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(text)
            text = b""
            yield record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9"], "logger=mlflow: "),
        (["logger=wandb"], "logger=wandb: "),
        (["logger=wandb", "logger.wandb.mode=of"], "logger.wandb.mode=of: unknown; use online, offline"),
    ],
)
def test_what_cannot_log_is_said_before_training(
    options: list[str], line: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(options[0].removeprefix("logger="))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    result = train("images=8", *options, check=2)
    assert line in result.stderr.splitlines()[-1]
    assert "images/s" not in result.stdout


@pytest.mark.filterwarnings("ignore")  # of the package
@pytest.mark.slow
def test_only_rank_0_logs(train: Train, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    train("images=16", "hydra.run.dir=runs/a", "logger=[mlflow,csv]", "trainer=ddp_sim")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("retro-gan").experiment_id])
    assert [value.step for value in client.get_metric_history(run.info.run_id, "loss/generator")] == [8, 16]


def test_a_run_folder_may_not_say_where_values_are_sent(tmp_path: Path) -> None:
    from gan.config.resume import read_overrides

    for word in ("logger.mlflow.tracking_uri=http://elsewhere", "logger.wandb.entity=stranger", "remote=s3://theirs/a"):
        path = tmp_path / run_folder.OVERRIDES
        path.write_text(json.dumps(["logger=[wandb,mlflow]", word]))
        with pytest.raises(UserError, match="where files are written or values are sent"):
            read_overrides(path, [])
        assert read_overrides(path, [word])  # typed, and therefore trusted


def test_tensorboard_has_the_typed_options_and_the_objective(tmp_path: Path) -> None:
    logger = TensorBoardLogger(str(tmp_path), name="", version="", default_hp_metric=False)
    adapted = Adapter("tensorboard", lambda: logger, tmp_path)
    adapted.open()
    adapted.log_config({"objective": "eval/kid", "seed": 1}, {"model": "lsgan", "seed": 1})
    for images in (100, 200):
        adapted.log_metrics({"eval/kid": 0.5 / images}, images)
    adapted.finalize("success")
    events = EventAccumulator(str(tmp_path)).Reload()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"lsgan" in content and b"seed" in content
    assert {event.step for event in events.Scalars("eval/kid")} == {100, 200}
