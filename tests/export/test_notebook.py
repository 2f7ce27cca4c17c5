"""`gan.show`: the newest grid beside real images, scores and curves, of a run that trains or is damaged."""

import json
from pathlib import Path

import pytest
from PIL import Image

import gan
from gan.runs.run_folder import RECORD
from gan.utils.errors import UserError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "a <b> run"
    (folder / "samples").mkdir(parents=True)
    for name in RECORD:
        (folder / name).touch()
    (folder / "config.yaml").write_text("seed: 0\n")
    return folder


def test_a_run_that_trains_is_shown(run: Path) -> None:
    view = gan.show(run)
    assert "no grids yet" in view._repr_html_() and "Nothing was logged yet" in view._repr_html_()
    lines = [
        {"images": 10 * n, "loss/generator": 1.0 / n, "eval/kid <x>": 90.0 - n, "time/x": 1, "loss/nan": float("nan")}
        for n in range(1, 900)
    ]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"images": 9')
    Image.new("RGB", (30, 20), "red").save(run / "samples" / "000000010.png")
    Image.new("RGB", (40, 20), "blue").save(run / "samples" / "000008990.png")
    Image.new("RGBA", (20, 30)).save(run / "samples" / "reals.png")
    html = view._repr_html_()
    assert html.count("data:image/webp;base64,") == 2 and html.count("data:image/svg") == 1
    assert "<b> run" not in html and "kid <x>" not in html and html.startswith("<style>.report {")


def test_other_folders_are_refused(run: Path) -> None:
    with pytest.raises(UserError, match="no such run folder"):
        gan.show(run / "none")
    with pytest.raises(UserError, match="no such run folder; give one of the runs in it"):
        gan.show(run.parent)
