"""`gan report`: where the report is written, and what it never replaces."""

from pathlib import Path

from gan.runs import lock
from gan.utils.files import write_json
from tests.conftest import Train
from tests.made_run import made
from tests.valid_html import Page


def test_out(tmp_path: Path, gan_command: Train) -> None:
    run = made(tmp_path / "runs" / "a", lines=[])  # without curves, which take a second
    assert gan_command("report", "runs/a").stdout.startswith("report: runs/a/report.html (0.")
    assert "report.html: exists already; use --force" in gan_command("report", "runs/a", check=2).stderr
    gan_command("report", "runs/a", "--force")
    made(tmp_path / "runs" / "b", seed=1)
    assert "give one of them, or compare them with gan compare" in gan_command("report", "runs", check=2).stderr
    (run / "report.html").unlink()
    (run / "report.html").symlink_to(tmp_path / "elsewhere.html")
    assert "a link leads out of" in gan_command("report", "runs/a", check=2).stderr


def test_bad_input(tmp_path: Path, gan_command: Train) -> None:
    assert "'none'" in gan_command("report", "none", check=2).stderr
    assert "neither a run folder" in gan_command("report", ".", check=2).stderr
    made(tmp_path / "a", lines=[])
    assert gan_command("report", "a").stdout.startswith("report: a/report.html")
    assert "Nothing was logged yet" in Page((tmp_path / "a" / "report.html").read_text()).text


def test_a_run_that_is_still_training(tmp_path: Path, gan_command: Train) -> None:
    run = made(tmp_path / "a")
    lock.acquire(run)
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"images": 9000, "loss/gen')  # a line that is being written
    write_json(run / "checkpoints" / "images-000006000.json", {"sha256": "0", "images": 6000})
    gan_command("report", "a")
    assert "running" in Page((run / "report.html").read_text()).text
