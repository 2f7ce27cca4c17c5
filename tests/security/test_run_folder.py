"""A run folder from a stranger, given to `train.py resume=`, `gan compare` and `gan generate`: it runs nothing, writes
nothing outside of itself, reads nothing of the environment, and ends in one line within a bounded time and memory."""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan.config.compose import compose, to_plain
from gan.config.launch import prepare
from gan.config.resume import read_overrides
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError
from gan.utils.files import write_json
from tests.conftest import ROOT, run_python
from tests.runs.test_run_folder import save

pytestmark = pytest.mark.slow

SECRET = "s3cret-token"
MEMORY = 3 << 30  # bytes of address space; torch is not imported before a folder is refused


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has a module that leaves a trace if it is imported, and a secret file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_TOKEN", SECRET)
    (tmp_path / "evil.py").write_text("open('trace', 'w')\nclass X: name = 'x'\n")


def folder(tmp_path: Path, overrides: object = ("seed=1",), config: bytes | None = None) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / run_folder.CONFIG).write_bytes(written() if config is None else config)
    given = overrides if isinstance(overrides, bytes) else yaml.safe_dump(list(overrides)).encode()  # type: ignore[call-overload]
    (run / run_folder.OVERRIDES).write_bytes(given)
    save(run, 100)
    return run


@functools.cache
def written() -> bytes:
    """Return the configuration of a run as this program writes it."""
    return yaml.safe_dump(to_plain(compose(["seed=1", "logger=[]", "callback=[]"]))).encode()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


OVERRIDES = [
    # code
    "callback.evaluate.extractors=[evil.X]",
    "callback.evaluate.extractors=evil.X",
    "callback.evaluate.extractors=[lite0,evil.X]",
    "+x._target_=os.system",
    "model.generator_optimizer._target_=os.system",
    "callback.samples._target_=evil.X",
    "+callback.x={_target_: evil.X}",
    "callback={x:{_target_: evil.X}}",
    "model.schedules={a: {_target_: evil.X}}",
    "model.power_ema=[{_target_: evil.X}]",
    "data.source={_target_: evil.X}",
    "hydra/launcher=evil",
    "hydra.searchpath=[file://.]",
    "hydra/job_logging=x",
    "experiment=../../../x/evil",
    "experiment=/x/evil",
    "experiment=[quick,../evil]",
    "experiment=evil",
    "model=../experiment/quick",
    "callback=[../../x/evil]",
    "data@model=folder",
    "experiment@hydra=quick",
    # the environment
    "data.root=${oc.env:SECRET_TOKEN}",
    r"callback.samples.run=$\{oc.env:SECRET_TOKEN\}",
    r"objective=$\{oc.env:SECRET_TOKEN\}",
    r"objective='$\{oc.env:SECRET_TOKEN\}'",
    'objective="${oc.env:SECRET_TOKEN}"',
    "data.root=[a,'${oc.env:SECRET_TOKEN}']",
    r"objective=\${oc.env:SECRET_TOKEN}",
    "objective=a${oc.env:SECRET_TOKEN}b",
    # files elsewhere
    "hydra.run.dir=elsewhere",
    "hydra.output_subdir=../x",
    "callback.checkpoint.run=../other",
    "callback.samples.run=../other",
    "logger.tensorboard.run=/elsewhere",
    "+trainer.default_root_dir=/elsewhere",
    "++trainer.default_root_dir=/elsewhere",
    # what is no override, or none that this program records
    "~callback.health",
    "seed=1,2",
    "seed=range(1,3)",
    "seed=glob(*)",
    "seed",
    "=1",
    "",
    "seed=[[1]]",
    "seed=" + "[" * 5000,
    "seed={a:" * 2000,
    "seed=" + "int(" * 3000,
    "seed='" + "x" * 200_000 + "'",
    "data.root='" + "x" * 9000 + "'",
    "no.such.option=1",
    "seed.a=1",
    "resume_force=true",
    "data.sise=3",
    "-m",
    "--config-dir=/x",
    "model=null",
    "model=true",
    "callback=[1]",
]


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda word: word[:60])
def test_an_override_of_a_stranger_is_refused_and_nothing_happens(override: str, tmp_path: Path) -> None:
    run = folder(tmp_path, ["seed=1", override])
    other = tmp_path / "other"
    save(other, 100)
    save(other, 200)
    before = everything(tmp_path)
    with pytest.raises(UserError) as caught:
        prepare(["resume=run", "images=200"])
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert everything(tmp_path) == before
    assert not (tmp_path / "trace").exists() and not (run / run_folder.LOCK).exists()


BOMBS: dict[str, bytes] = {
    "aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 106)),
    "one alias": b"- &a seed=1\n- *a\n",
    "flow nesting": b"[" * 10_000,
    "map nesting": b"{a: " * 10_000,
    "block nesting": b"".join(b" " * depth + b"a:\n" for depth in range(600)),
    "50 MB": b"- seed=" + b"1" * 50_000_000,
    "100,000 entries": b"- a=1\n" * 100_000,
    "binary": bytes(range(256)),
    "nul": b"- seed=1\x00\n",
    "not closed": b"[seed=1",
    "a class": b"- !!python/object/apply:os.system ['touch trace']\n",
    "a tag": b"- !!binary aGVsbG8=\n",
    "a text": b"seed=1\n",
    "a map": b"seed: 1\n",
    "numbers": b"[1, 2]\n",
    "nested lists": b"[[seed=1]]\n",
    "dates": b"[2020-01-01]\n",
    "a large integer": b"- " + b"9" * 5000 + b"\n",
    "base 60": b"a: " + b"1:" * 4000 + b"1\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_overrides_that_are_not_of_this_program_are_one_line(name: str, tmp_path: Path) -> None:
    folder(tmp_path, BOMBS[name])
    with pytest.raises(UserError, match=r"overrides\.yaml") as caught:
        prepare(["resume=run"])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", BOMBS)
def test_configurations_that_are_not_of_this_program_are_one_line(
    name: str, tmp_path: Path, gan_command: Callable[..., Any]
) -> None:
    folder(tmp_path, config=BOMBS[name])
    for found in (gan_command("compare", "run", check=2),):
        assert found.stderr.count("\n") == 1 and len(found.stderr) < 600
    with pytest.raises(UserError) as caught:
        prepare(["resume=run"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("name", ["aliases", "flow nesting", "50 MB", "map nesting"])
@pytest.mark.parametrize("command", [["train.py", "resume=run"], ["-m", "gan.cli", "compare", "run"]])
def test_bombs_take_neither_memory_nor_time(name: str, command: list[str], tmp_path: Path) -> None:
    folder(tmp_path, BOMBS[name], BOMBS[name])
    words = [str(ROOT / command[0]) if command[0] == "train.py" else command[0], *command[1:]]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))

    found = run_python(words, tmp_path, preexec_fn=limit)
    assert found.returncode == 2 and found.stderr.count("\n") == 1, found.stderr


SIDECARS: dict[str, Any] = {
    "a text": "text",
    "a number": 7,
    "a list": [1],
    "null": None,
    "no images": {"sha256": "0"},
    "images a text": {"sha256": "0", "images": "100"},
    "images a list": {"sha256": "0", "images": [1]},
    "images true": {"sha256": "0", "images": True},
    "sha256 a number": {"sha256": 0, "images": 100},
    "bytes a text": {"sha256": "0", "images": 100, "bytes": "x"},
    "best a text": {"sha256": "0", "images": 100, "best": "x"},
    "seconds a text": {"sha256": "0", "images": 100, "seconds": "x"},
}


@pytest.mark.parametrize("name", [*SIDECARS, "binary", "deep", "large"])
def test_files_beside_checkpoints_are_checked(name: str, tmp_path: Path, gan_command: Callable[..., Any]) -> None:
    run = folder(tmp_path)
    raw = {"binary": b"\xff\xfe\x00", "deep": b"[" * 100_000, "large": b"[" + b"1," * 2_000_000 + b"1]"}
    beside = checkpoints.sidecar(checkpoints.checkpoint_path(run, 100))
    beside.write_bytes(raw[name] if name in raw else json.dumps(SIDECARS[name]).encode())
    with pytest.raises(UserError, match="no undamaged checkpoint"):
        prepare(["resume=run"])
    assert gan_command("generate", "run", "--out", "out", check=2).stderr.count("\n") == 1


@pytest.mark.parametrize(
    "named",
    [
        "../../other/checkpoints/images-000000100.ckpt",
        "/etc/passwd",
        "images-000000100.json",
        "..",
        "",
        5,
        None,
        [1],
        {},
    ],
)
def test_the_best_checkpoint_is_one_of_the_run(named: object, tmp_path: Path) -> None:
    run = folder(tmp_path)
    save(tmp_path / "other", 100)
    path = checkpoints.checkpoint_path(run, 100)
    write_json(checkpoints.sidecar(path), checkpoints.read_sidecar(path) | {"best": {"checkpoint": named}})
    with pytest.raises(UserError, match="its best checkpoint is not one of this run"):
        checkpoints.find_checkpoint(run)
    assert checkpoints.find_checkpoint(run, "last") == path


METRICS = [
    b"{",
    b"[" * 100_000,
    b'"text"',
    b'{"images": "x", "eval/kid": 1}',
    b'{"images": 1, "eval/kid": "x", "seconds": 1e999}',
    b'{"images": 1e999, "eval/kid": 1}',
    b'{"images": NaN}',
    b'{"images": -5, "seconds": -1}',
    b'{"images": ' + b"9" * 5000 + b"}",
    b'{"images": {"a": 1}}',
    b"\xff\xfe\x00",
    b"x" * 1_000_000,
]


@pytest.mark.parametrize("line", METRICS, ids=lambda line: line[:30])
def test_metrics_that_are_not_of_this_program_are_passed_over(
    line: bytes, tmp_path: Path, gan_command: Callable[..., Any]
) -> None:
    run = folder(tmp_path)
    (run / run_folder.METRICS).write_bytes(b'{"images": 8, "eval/kid": 0.5}\n' + line + b"\n")
    assert "run" in gan_command("compare", "run").stdout
    assert "run" in gan_command("compare", "run", "--json").stdout
    assert gan_command("compare", "run", "--out", "curves.png").returncode == 0


def test_data_folders_are_read_and_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder(tmp_path, ["data=folder", "data.root=/elsewhere", "init_from=/other", "data.labels=/table.csv"])
    read_overrides(run / run_folder.OVERRIDES, typed=[])
    said = capsys.readouterr().out
    assert all(f"reads {word}\n" in said for word in ("data.root=/elsewhere", "data.labels=/table.csv"))
    assert "init_from" not in said  # the checkpoint has those weights


@pytest.mark.parametrize(
    "name", [run_folder.CHECKPOINTS, run_folder.SAMPLES, run_folder.METRICS, run_folder.ENVIRONMENT, run_folder.CONFIG]
)
def test_a_run_folder_has_no_links_that_lead_out_of_it(name: str, tmp_path: Path) -> None:
    """Only files in the run folder are pruned, removed and appended to."""
    run, other = folder(tmp_path), tmp_path / "other"
    other.mkdir()
    if (run / name).exists():
        os.rename(run / name, other / name)
    (run / name).symlink_to(other / name)
    before = everything(other)
    with pytest.raises(UserError, match="is not a regular file or folder"):
        prepare(["resume=run", "images=200"])
    assert everything(other) == before


@pytest.mark.parametrize(
    "name",
    [
        run_folder.METRICS,
        run_folder.METRICS_CSV,
        run_folder.ENVIRONMENT,
        run_folder.CONFIG,
        run_folder.OVERRIDES,
        run_folder.SAMPLES,
        run_folder.LOGGERS,
        run_folder.LOCK,
        "events.out.tfevents.1",
        "checkpoints/images-000000200.ckpt",
        "checkpoints/images-000000100.json",
    ],
)
def test_named_pipes_are_refused(name: str, tmp_path: Path) -> None:
    """Opening one waits forever for another process; the alarm ends the test then."""
    run = folder(tmp_path)
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    signal.alarm(60)
    try:
        with pytest.raises(UserError, match=f"{re.escape(Path(name).name)}: (is not a|cannot be read)"):
            prepare(["resume=run", "images=200"])
    finally:
        signal.alarm(0)
