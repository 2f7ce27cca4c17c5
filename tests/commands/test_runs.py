"""gan runs lists run folders; gan info has no user names."""

import json
from pathlib import Path

import pytest

from gan.commands import info, runs
from gan.runs import lock
from tests.conftest import Train


def made(folder: Path, images: int, length: int = 100, score: float | None = None, choices: str = "[]") -> Path:
    """Return a run folder with the files that `gan runs` reads."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        f"images: {length}\nminutes: null\nobjective: eval/kid\ndata: {{root: /x/scans}}\n"
        "model: {generator: {_target_: gan.networks.dcgan.Generator}}\n"
    )
    (folder / "overrides.yaml").write_text(choices)
    (folder / "environment.jsonl").write_text("{}\n")
    if images:
        checkpoint = folder / "checkpoints" / f"images-{images:09}.ckpt"
        checkpoint.write_bytes(b"x" * 1000)
        best = None if score is None else {"checkpoint": checkpoint.name, "monitor": "eval/kid", "score": score}
        record = {"sha256": "0", "bytes": 1000, "images": images, "seconds": None, "best": best}
        checkpoint.with_suffix(".json").write_text(json.dumps(record))
    return folder


def test_runs_are_listed(gan_command: Train, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "one", 100, score=0.25)
    made(tmp_path / "runs" / "two", 50, choices="[model=r3gan, seed=1]")
    made(tmp_path / "runs" / "sweep" / "0", 0)
    (tmp_path / "runs" / "other").mkdir()
    (made(tmp_path / "runs" / "broken", 10) / "config.yaml").write_text("[")
    held = made(tmp_path / "runs" / "held", 20)
    lock.acquire(held)
    lines = {line.split()[0]: line for line in gan_command("runs").stdout.splitlines()}
    assert "dcgan" in lines["runs/one"] and "scans" in lines["runs/one"] and "kid 0.25" in lines["runs/one"]
    assert "100 of 100" in lines["runs/one"] and lines["runs/one"].endswith("finished")
    assert "r3gan" in lines["runs/two"] and lines["runs/two"].endswith("stopped")
    assert lines["runs/sweep/0"].endswith("no checkpoint") and lines["runs/held"].endswith("running")
    assert lines["runs/broken"].endswith("damaged") and "runs/other" not in lines and "5" in lines
    assert "no such folder" in gan_command("runs", "none", check=2).stderr
    assert "runs/other: no runs yet" in gan_command("runs", "runs/other").stdout


def test_minutes_and_images_are_those_of_the_log_before_a_checkpoint(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", 0)
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("minutes: null", "minutes: 12"))
    (folder / "metrics.jsonl").write_text('{"images": 40, "seconds": 552.0, "loss/generator": 1.0}\n')
    assert runs.row_of(folder)[2] == "40 of 100 in 9.2 of 12 min"


def test_a_new_folder_has_no_runs_yet(gan_command: Train) -> None:
    assert gan_command("runs").stdout == "runs: no runs yet; train one with gan train data.root=FOLDER\n"


def test_a_damaged_sidecar_is_said_in_the_row(tmp_path: Path) -> None:
    folder = made(tmp_path / "a", 10)
    next((folder / "checkpoints").glob("*.json")).write_text("[")
    assert runs.row_of(folder)[-1] == "damaged"


def test_info_names_versions_but_no_user(gan_command: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    monkeypatch.setenv("LOGNAME", "alice")
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "alice" / "cache"))
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    out = gan_command("info").stdout
    for name in ("retro-gan:", "python:", "torch:", "devices:", "cpu:", "cache:", "gradio ", "lightning 2."):
        assert name in out
    assert "~/cache" in out and "alice" not in out and "secret" not in out
    assert info.anonymous("/mnt/alice/x, /home/alicea") == "/mnt/USER/x, /home/alicea"
