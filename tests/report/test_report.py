"""Reports of runs: complete and valid pages, without paths, whatever is in the run folder."""

import base64
import getpass
import json
import math
import os
import re
import socket
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from gan.report.charts import Line, Panel, draw, to_svg
from gan.report.facts import public, public_word, read_facts
from gan.report.one_run import MAX_POINTS, build
from gan.report.page import embed, evenly, sha256
from gan.runs import run_folder
from gan.runs.metrics import Log, Objective, Point
from gan.utils.errors import UserError
from tests.made_run import KID, LINES, made
from tests.valid_html import Page

EVIL = "<script>alert(1)</script>\"'><img src=http://x.example/y onerror=alert(2)>"


def report(run: Path) -> Page:
    """Return the parsed report of a run, after the checks that hold for every report."""
    source = build(run)
    assert len(source) < 5_000_000
    page = Page(source.decode())
    assert page.faults == []
    (script,) = page.scripts
    assert f"script-src '{sha256(script)}'" in source.decode()
    return page


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a report used the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_run(tmp_path: Path) -> None:
    page = report(made(tmp_path / "first"))
    sections = {"images", "curves", "scores", "copies", "health", "configuration"}
    assert sections <= set(page.ids) and "notes" not in page.ids
    assert page.tags.count("img") == 6  # four grids, two of charts
    for words in ("first", "dcgan", "finished", "32×32", "hinge", "mode collapse", "other real images", "2.5",
                  "gan train 'data.root=My scans' --code c", "kid_x1000_lite0", "Protocol"):  # fmt: skip
        assert words in page.text, words


def test_no_path_and_no_user_is_in_a_report(tmp_path: Path) -> None:
    words = build(made(tmp_path / "a")).decode()
    assert "jane" not in words and str(tmp_path) not in words and "/home/" not in words
    assert os.path.expanduser("~") + os.sep not in words
    if len(user := getpass.getuser()) > 4:
        assert user not in words


def test_text_of_a_run_is_escaped(tmp_path: Path) -> None:
    run = made(tmp_path / "<b>bold", [*LINES, {"images": 7000, f"eval/{EVIL}": 1.0, f"loss/{EVIL}": 1.0}],
               **{EVIL: EVIL})  # fmt: skip
    (run / run_folder.OVERRIDES).write_text(json.dumps([f"{EVIL}={EVIL}", "x=\u202eabc"]))
    odd = {"command": [EVIL, {}, None], "machine": EVIL, "packages": {EVIL: [EVIL]}, "git": {}, "cores": EVIL}
    (run / run_folder.ENVIRONMENT).write_text(json.dumps(odd) + "\n[1]\n{")
    (run / run_folder.EVALUATION).write_text("".join(json.dumps(
        {"metric": EVIL, "value": value, "row": EVIL, "extractor": EVIL, "images": EVIL, "seeds": [EVIL, 2]}) + "\n"
        for value in (1, "x", None, [1], 1e308)))  # fmt: skip
    page = report(run)
    assert "<script>" in page.text and "b" not in page.tags and "\u202e" not in page.text


FILES = ["samples", "metrics.jsonl", "checkpoints", "overrides.yaml", "environment.jsonl", "evaluation.jsonl"]


@pytest.mark.parametrize("gone", [["metrics.jsonl"], FILES], ids=len)
def test_missing_files(tmp_path: Path, gone: list[str]) -> None:
    run = made(tmp_path / "a")
    for name in gone:
        (run / name).rename(tmp_path / name)
    report(run)


def test_damaged_pictures_and_links_become_notes(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    samples = run / "samples"
    data = (samples / "reals.png").read_bytes()
    (samples / "reals.png").write_bytes(data[: len(data) // 2])
    (samples / "000000001.png").write_bytes(b"\x89PNG")
    (samples / "000000002.png").mkdir()
    (tmp_path / "secret.png").write_bytes(data)
    (samples / "000000003.png").symlink_to(tmp_path / "secret.png")
    if hasattr(os, "mkfifo"):
        os.mkfifo(samples / "000000004.png")
    page = report(run)
    assert page.tags.count("img") == 5
    assert "reals.png is left out" in page.text and "000000001.png is left out" in page.text
    assert "000000003" not in page.text


def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    (run / run_folder.CONFIG).write_text("!!python/object/apply:os.system [x]")
    with pytest.raises(UserError, match=r"config\.yaml"):
        build(run)


def test_numbers_of_odd_size(tmp_path: Path) -> None:
    odd = [{"images": 7000, "seconds": 1e300, KID: math.nan, "loss/generator": 1e308, "health/diversity": math.inf},
           {"images": 2**63 - 1, "loss/generator": -1e29}, {"images": -4, KID: 1.0}]  # fmt: skip
    page = report(made(tmp_path / "a", [*LINES, *odd]))
    assert "values are not finite or too large" in page.text


# ---- parts


def test_a_log_has_few_curves_and_thinned_points(tmp_path: Path) -> None:
    log = read_facts(made(tmp_path / "a", [{"images": n, f"loss/{n}": 1.0} for n in range(500)])).log
    assert len(log.curves) == 60 and not log.complete and log.images == 499
    points = evenly([Point(n, n / 10, float(n)) for n in range(10_000)], MAX_POINTS)
    assert len(points) == 300 and points[0].value == 0 and points[-1].value == 9999


def test_the_best_line_is_that_of_the_objective() -> None:
    log = Log(LINES, Objective(KID))
    assert log.best[KID] == 300 and log.newest[KID] == 350 and log.untrained[KID] == 900
    assert log.seconds == 120 and log.images == 6000
    translator = Log([{"images": 0, KID: 90.0}, *LINES[1:]], Objective(KID, since=0))  # its start can be the best
    kept = Log([LINES[0], {"images": 0, "best/kid_x1000_lite0": 900.0}, *LINES[1:]], Objective(KID, since=0))
    assert kept.best[KID] == 900 and kept.newest[KID] == 350  # the run has kept its start as the best checkpoint
    assert translator.best == {KID: 90.0, "images": 0, "seconds": pytest.approx(math.nan, nan_ok=True)}


@pytest.mark.parametrize(("value", "shown"), [
    ("/home/jane/My scans", "My scans"), ("/home/jane", "~"), (r"C:\Users\jane\scans", "scans"), ("~jane", "~"),
    ("../../jane/scans", "scans"), ("runs/first", "runs/first"), ("[/a/b c,/d/e]", "[b c,e]"), ("1/2", "1/2"),
    ("cannot read /home/jane/x.png: no", "cannot read x.png: no"), ("file:///home/jane/x", "x"),
    ("https://host.example/a/b", "https://host.example/a/b"), ("/home/jane/runs/a:val", "a:val"),
])  # fmt: skip
def test_paths_are_shortened(value: str, shown: str) -> None:
    assert public(value) == shown
    assert public_word(f"data.root={value}") == f"data.root={shown}"


def test_charts(tmp_path: Path) -> None:
    points = [Point(n, n / 10, 10.0**n) for n in range(4)]
    figure = draw([Panel("<b>$x", [Line("$a<", points), Line("b", points[:1], 11)], floor=2.0, from_zero=True),
                   Panel("wide", [Line("a", points)])])  # fmt: skip
    fractions, wide = figure.axes[0], figure.axes[2]
    assert (fractions.get_yscale(), wide.get_yscale()) == ("linear", "log") and fractions.get_ylim()[0] < 0
    assert [text.get_text() for text in fractions.get_legend().get_texts()] == ["$a<", "b"]
    image = base64.b64decode(to_svg(figure).removeprefix("data:image/svg+xml;base64,"))
    texts = [element.text for element in ElementTree.fromstring(image).iter() if element.tag.endswith("text")]
    assert {"<b>$x", "$a<", "b", "real images", "images seen"} <= set(texts)


def test_pictures(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 10), (9, 9, 9, 0)).save(tmp_path / "a.png")
    small = embed(tmp_path / "a.png", 1000)
    assert (small.width, small.height) == (20, 10) and re.match("data:image/webp;base64,", small.address)
    Image.effect_noise((600, 300), 90).save(tmp_path / "b.png")
    noisy = embed(tmp_path / "b.png", 4000)
    assert len(noisy.address) < 6000 and noisy.width < 600
    items = [(n, tmp_path) for n in range(100)]
    assert [n for n, _ in evenly(items, 5)] == [0, 25, 50, 74, 99]
