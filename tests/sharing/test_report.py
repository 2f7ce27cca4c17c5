"""Reports of runs: complete and valid pages, without paths, whatever is in the run folder."""

from __future__ import annotations

import getpass
import json
import math
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan.common.errors import UserError
from gan.run import run_folder
from gan.sharing.report import charts, parallel
from gan.sharing.report.build import build
from gan.sharing.report.charts import Scale, ticks, value_scale
from gan.sharing.report.grids import embed, evenly
from gan.sharing.report.log import Curve, Log, Point, read_log
from gan.sharing.report.markup import table, tag, text
from gan.sharing.report.private import public, public_word
from gan.sharing.report.style import SCRIPT
from tests.sharing.made_run import KID, LINES, made
from tests.sharing.valid_html import Page

EVIL = "<script>alert(1)</script>\"'><img src=http://x.example/y onerror=alert(2)>"


def report(*runs: Path) -> Page:
    """Return the parsed report of runs, after the checks that hold for every report."""
    given = [runs[0].parent] if len(runs) > 1 else list(runs)
    source = build(given, runs)
    assert len(source) < 5_000_000
    page = Page(source.decode())
    assert page.faults == []
    assert page.scripts == [SCRIPT]
    return page


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse sockets, except those between processes of this machine, with which files are decoded in parallel."""

    class Refused(socket.socket):
        def __init__(self, family: int = -1, *rest: Any, **named: Any) -> None:
            assert family == getattr(socket, "AF_UNIX", None), "a report used the network"
            super().__init__(family, *rest, **named)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a report used the network")

    monkeypatch.setattr(socket, "socket", Refused)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_run(tmp_path: Path) -> None:
    page = report(made(tmp_path / "first"))
    sections = {"images", "curves", "scores", "copies", "health", "data", "configuration", "machine", "next"}
    assert sections <= set(page.ids) and "notes" not in page.ids
    assert page.tags.count("img") == 4
    for words in ("first", "dcgan", "finished", "32×32", "hinge", "mode collapse", "other real images", "2.5",
                  "gan train data.root=My scans --code c", "kid_x1000_lite0", "Protocol", "best and last"):  # fmt: skip
        assert words in page.text, words


def test_no_path_and_no_user_is_in_a_report(tmp_path: Path) -> None:
    for source in (
        build([tmp_path], [made(tmp_path / "a")]),
        build([tmp_path], [tmp_path / "a", made(tmp_path / "b")]),
    ):
        words = source.decode()
        assert "jane" not in words and str(tmp_path) not in words and "/home/" not in words
        assert os.path.expanduser("~") + os.sep not in words
        if len(user := getpass.getuser()) > 4:
            assert user not in words


def test_a_sweep(tmp_path: Path) -> None:
    runs = []
    for n, rate in enumerate((1e-4, 1e-2, 1e-3)):
        lines = [{**line, **({KID: line[KID] * (1 + n)} if KID in line else {})} for line in LINES]
        config = {"model": {"lr": rate, "generator": {"_target_": "gan.networks.dcgan.Generator"}}, "seed": n}
        runs.append(made(tmp_path / "sweep" / str(n), lines, **config))
    rows = tmp_path / "sweep" / run_folder.ROWS
    rows.mkdir()
    job = {"job": 3, "options": {"model.lr": "1"}, "name": KID, "objective": None, "seconds": 3.0, "error": "diverged",
           "status": "diverged", "run": "3"}  # fmt: skip
    (rows / "3.json").write_text(json.dumps(job))
    page = report(*runs)
    assert {"table", "options", "curves", "grids", "how"} <= set(page.ids)
    assert page.tags.count("img") == 3
    for words in ("lr (log)", "lower is better", "job 4", "diverged", "600", "3 runs"):
        assert words in page.text, words


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
    page = report(run, made(tmp_path / "other"))
    assert "b" not in page.tags


FILES = ["samples", "metrics.jsonl", "checkpoints", "overrides.yaml", "environment.jsonl", "evaluation.jsonl"]


@pytest.mark.parametrize("gone", [*([name] for name in FILES), FILES], ids="+".join)
def test_missing_files(tmp_path: Path, gone: list[str]) -> None:
    run = made(tmp_path / "a")
    for name in gone:
        (run / name).rename(tmp_path / name)
    report(run)
    report(run, made(tmp_path / "b"))


def test_damaged_pictures_and_links_become_notes(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    samples = run / "samples"
    data = (samples / "reals.png").read_bytes()
    (samples / "reals.png").write_bytes(data[: len(data) // 2])
    (samples / "000000001.png").write_bytes(b"\x89PNG")
    (samples / "000000002.png").mkdir()
    (tmp_path / "secret.png").write_bytes(data)
    (samples / "000000003.png").symlink_to(tmp_path / "secret.png")
    (run / run_folder.EVALUATION).unlink()
    (run / run_folder.EVALUATION).symlink_to("/dev/zero")
    if hasattr(os, "mkfifo"):
        os.mkfifo(samples / "000000004.png")
    page = report(run)
    assert page.tags.count("img") == 3
    assert "reals.png is left out" in page.text and "000000001.png is left out" in page.text
    assert "evaluation.jsonl is a link" in page.text and "000000003" not in page.text


@pytest.mark.parametrize("config", ["{", "[]", "!!python/object/apply:os.system [x]"])
def test_a_configuration_that_cannot_be_read_is_one_line(tmp_path: Path, config: str) -> None:
    run = made(tmp_path / "a")
    (run / run_folder.CONFIG).write_text(config)
    with pytest.raises(UserError, match=r"config\.yaml"):
        build([run], [run])
    page = report(run, made(tmp_path / "b"), made(tmp_path / "c"))
    assert "a is left out" in page.text


def test_values_of_odd_types(tmp_path: Path) -> None:
    run = made(tmp_path / "a", images=[1], minutes={"a": 1}, data=5, model=[], objective=[3], callback="x")
    (run / "checkpoints" / "images-000006000.json").write_text('{"sha256": "x", "images": "<b>"}')
    report(run)


def test_numbers_of_odd_size(tmp_path: Path) -> None:
    odd = [{"images": 7000, "seconds": 1e300, KID: math.nan, "loss/generator": 1e308, "health/diversity": math.inf},
           {"images": 2**63 - 1, "loss/generator": -1e29}, {"images": -4, KID: 1.0}]  # fmt: skip
    page = report(made(tmp_path / "a", [*LINES, *odd]))
    assert "values are not finite or too large" in page.text


@pytest.mark.slow  # starts processes
def test_a_folder_of_data_is_checked_if_it_is_harmless(tmp_path: Path) -> None:
    folder = tmp_path / "collection"
    folder.mkdir()
    for n in range(3):
        Image.new("RGB", (40, 30), (60 * n, 0, 0)).save(folder / f"{n}.png")
    for root, words in ((folder, "3 of 3 checked"), ("/", "contains your home folder"), ("x/y", "not on this machine")):
        run = made(tmp_path / str(len(words)), data={"root": str(root), "size": 32})
        assert words in report(run).text


# ---- parts


def test_a_long_log_needs_little_memory(tmp_path: Path) -> None:
    curve = Curve(100)
    for n in range(10_000):
        curve.add(Point(n, n / 10, float(n)))
    assert len(curve.points) <= 102 and curve.points[0].value == 0 and curve.points[-1].value == 9999
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"images": n, f"loss/{n}": 1.0}) + "\n" for n in range(500)))
    log = read_log(path, KID)
    report(made(tmp_path / "a", [{"images": n, "loss/generator": float(n % 7)} for n in range(3000)]))
    assert len(log.curves) == 150 and log.others and log.images == 499


def test_the_best_line_is_that_of_the_objective() -> None:
    log = Log(KID)
    for line in LINES:
        log.add(line)
    assert log.best[KID] == 300 and log.newest[KID] == 350 and log.untrained[KID] == 900
    assert log.seconds == 120 and log.images == 6000
    translator = Log(KID, since=0)  # its start can be the best
    for line in ({"images": 0, KID: 90.0}, *LINES[1:]):
        translator.add(line)
    assert translator.best == {KID: 90.0, "images": 0, "seconds": pytest.approx(math.nan, nan_ok=True)}


@pytest.mark.parametrize(("value", "shown"), [
    ("/home/jane/My scans", "My scans"), ("~/scans", "scans"), ("~", "~"), ("/home/jane", "~"), ("/root/", "~"),
    (r"C:\Users\jane\scans", "scans"), ("../../jane/scans", "scans"), ("runs/first", "runs/first"), ("0.5", "0.5"),
    ("[/a/b c,/d/e]", "[b c,e]"), ("cannot read /home/jane/x.png: no", "cannot read x.png: no"),
    ("https://host.example/a/b", "https://host.example/a/b"), ("file:///home/jane/x", "x"), ("1/2", "1/2"),
    ("'/home/jane/x'", "x"), ("/home/jane/runs/a:val", "a:val"), ("~jane", "~"),
])  # fmt: skip
def test_paths_are_shortened(value: str, shown: str) -> None:
    assert public(value) == shown
    assert public_word(f"data.root={value}") == f"data.root={shown}"


def test_markup_escapes_and_closes() -> None:
    assert tag("p", "a < b", tag("b", "&"), title='"') == '<p title="&quot;">a &lt; b<b>&amp;</b></p>'
    assert tag("input", type="radio", checked=True, id=None) == '<input type="radio" checked>'
    assert text("a\nb\x1b") == "a\\nb\\x1b"
    assert len(text("x" * 1000)) == 400 and len(tag("path", d="x" * 1000)) > 1000
    assert table(["", "n"], [["a", 1]]).count('class="n"') == 2


def test_scales_and_ticks() -> None:
    assert value_scale([1, 1000]).log and not value_scale([0, 1000]).log and not value_scale([-1, 1]).log
    assert ticks(Scale(0, 1), 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert ticks(Scale(1, 1000, log=True), 5) == [1, 3, 10, 30, 100, 300, 1000]
    assert value_scale([5, 5])(5) == 0.5 and value_scale([0, 0]) == Scale(0, 1)
    for low, high in ((1e-29, 1e29), (-1e30, 1e30), (3, 3.0000001), (0, 1e-300)):
        assert len(ticks(value_scale([low, high]), 5)) < 30
    assert [charts.short(value) for value in (0.25, 1500, 2e6, 931.25)] == ["0.25", "1.5k", "2M", "931"]


def test_axes_of_options() -> None:
    assert parallel.column("lr", [1e-4, 1e-2, 1e-3]).places == pytest.approx([0, 1, 0.5])
    assert parallel.column("width", [32, 64, 48]).places == pytest.approx([0, 1, 0.5])
    assert parallel.column("loss", ["b", "a", None]).marks == [(1 / 6, "a"), (0.5, "b"), (5 / 6, "–")]
    assert len(parallel.column("name", [*map(str, range(50)), "x"]).marks) == parallel.MAX_VALUES
    assert parallel.column("flag", [True, False, True]).marks == [(0.25, "false"), (0.75, "true")]
    drawing = parallel.parallel_coordinates([("lr", [1, 2])], "KID", [None, 3.0], ["a", "b"])
    assert drawing and 'class="run rx"' in drawing and 'class="run r0"' in drawing
    assert parallel.parallel_coordinates([], "KID", [1.0], ["a"]) is None


def test_pictures(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 10), (9, 9, 9, 0)).save(tmp_path / "a.png")
    small = embed(tmp_path / "a.png", 1000)
    assert (small.width, small.height) == (20, 10) and re.match("data:image/webp;base64,", small.address)
    Image.effect_noise((600, 300), 90).save(tmp_path / "b.png")
    noisy = embed(tmp_path / "b.png", 4000)
    assert len(noisy.address) < 6000 and noisy.width < 600
    items = [(n, tmp_path) for n in range(100)]
    assert [n for n, _ in evenly(items, 5)] == [0, 25, 50, 74, 99] and evenly(items, 1) == items[-1:]


@pytest.mark.slow
def test_many_large_grids_stay_below_the_limit(tmp_path: Path) -> None:
    runs = [made(tmp_path / "sweep" / str(n), seed=n) for n in range(3)]
    noise = Image.effect_noise((640, 640), 120)
    noise.save(tmp_path / "noise.png", compress_level=0)
    for run in runs:
        for n in range(30):
            os.link(tmp_path / "noise.png", run / "samples" / f"{10_000 + n:09d}.png")
        for name in ("reals.png", "copies-000006000.png"):
            (run / "samples" / name).unlink()
            os.link(tmp_path / "noise.png", run / "samples" / name)
    page = report(runs[0])
    assert page.tags.count("img") == 26 and "8 more grids" in page.text
    report(*runs)
