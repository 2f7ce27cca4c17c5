"""The summary of a sweep: a header, a line per job, a table, and results.csv, which an interrupted sweep keeps."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import RunMode
from omegaconf import OmegaConf

from gan.config import sweep
from gan.config.sweep import Summary
from gan.runs.run_folder import RESULTS, ROWS
from gan.utils.errors import Diverged, UserError
from tests.conftest import Train


def config(folder: Path, num: int = 0, words: Any = (), **sweeper: Any) -> Any:
    basic = {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper", "params": None}
    return OmegaConf.create({
        "objective": "eval/kid",
        "objective_mode": "best",
        "hydra": {
            "mode": RunMode.MULTIRUN,
            "sweep": {"dir": str(folder)},
            "sweeper": basic | sweeper,
            "job": {"num": num},
            "runtime": {"output_dir": str(folder / str(num))},
            "overrides": {"task": list(words)},
        },
    })  # fmt: skip


def end(summary: Summary, job: Any, value: Any) -> JobReturn:
    """Run a job that returns a value or raises it."""
    summary.on_job_start(job)
    status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    ended = JobReturn(status=status, _return_value=value)
    summary.on_job_end(job, ended)
    return ended


def results(folder: Path) -> list[dict[str, str]]:
    with open(folder / RESULTS) as file:
        return list(csv.DictReader(file))


def test_a_sweep_of_all_combinations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary()
    summary.on_multirun_start(config(tmp_path, words=["loss=hinge,minimax", "seed=range(0,2)", "images=16"]))
    assert capsys.readouterr().out.splitlines() == [
        f"sweep of 4 jobs in {tmp_path}; loss: hinge, minimax; seed: 0, 1",
        "objective to minimize: eval/kid (best)",
    ]
    values = [0.5, Diverged("training diverged"), UserError("no such\nsize"), 0.25]
    for num, value in enumerate(values):
        words = [f"loss={'hinge' if num < 2 else 'minimax'}", f"seed={num % 2}", "images=16"]
        ended = end(summary, config(tmp_path, num, words), value)
        assert ended.status is JobStatus.COMPLETED  # otherwise Hydra's sweepers raise the error
        assert ended.return_value == (value if isinstance(value, float) else float("inf"))
        assert len(results(tmp_path)) == num + 1  # after each job
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["job 1 of 4 with loss=hinge, seed=0", "job 1 of 4 with loss=hinge, seed=0: eval/kid 0.5 (0:00)"]
    assert said[5] == "job 3 of 4 with loss=minimax, seed=0: no such size (0:00)"
    with pytest.raises(SystemExit) as code:  # because a job failed
        summary.on_multirun_end(config(tmp_path))
    assert code.value.code == 2
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:6]]
    assert rows[0] == ["run", "loss", "seed", "eval/kid", "time", "status", "error"]
    assert [row[:4] for row in rows[1:]] == [
        ["3", "minimax", "1", "0.25"], ["0", "hinge", "0", "0.5"], ["1", "hinge", "1", "-"], ["2", "minimax", "0", "-"]
    ]  # fmt: skip
    assert [(row["run"], row["status"]) for row in results(tmp_path)] == [
        ("3", "finished"), ("0", "finished"), ("1", "diverged"), ("2", "failed")
    ]  # fmt: skip


def test_an_interrupted_sweep_keeps_its_rows_and_goes_on(tmp_path: Path) -> None:
    start = config(tmp_path, words=["seed=0,1"])
    summary = Summary()
    summary.on_multirun_start(start)
    end(summary, config(tmp_path, 0, ["seed=0"]), 0.5)
    summary.on_job_start(config(tmp_path, 1, ["seed=1"]))  # and the process dies
    assert [(row["seed"], row["status"]) for row in results(tmp_path)] == [("0", "finished"), ("1", "not finished")]
    path = tmp_path / ROWS / "0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 100.0}))
    (tmp_path / ROWS / "9.json").write_text("[")  # cut off, or of another program
    resumed = Summary()
    resumed.on_multirun_start(start)
    end(resumed, config(tmp_path, 0, ["seed=0"]), 0.5)
    end(resumed, config(tmp_path, 1, ["seed=1"]), 0.25)
    resumed.on_multirun_end(start)
    assert [(row["seed"], row["status"]) for row in results(tmp_path)] == [("1", "finished"), ("0", "finished")]
    assert float(results(tmp_path)[1]["seconds"]) >= 100  # of both starts


def test_names_in_rows_reach_neither_the_terminal_nor_a_formula(tmp_path: Path) -> None:
    row = {"job": 0, "options": {"x\n\x1b[31m": "=1+1", "b": "-3", "c": "@x", "+d": "a-b"}, "name": "\x1b[0m", "error":
           "-cmd", "status": "finished", "seconds": 1.0, "objective": -0.5, "run": "0"}  # fmt: skip
    (tmp_path / ROWS).mkdir()
    (tmp_path / ROWS / "0.json").write_text(json.dumps(row))
    lines = sweep.table(sweep.write_results(tmp_path))
    assert len(lines) == 2 and "\x1b" not in "".join(lines) and "x\\n\\x1b[31m" in lines[0]
    with open(tmp_path / RESULTS, newline="") as file:
        headings, values = csv.reader(file)
    assert headings[3:5] == ["c", "'+d"]
    assert values == ["0", "'=1+1", "-3", "'@x", "a-b", "-0.5", "1.0", "finished", "'-cmd"]


def test_the_header_of_optuna_and_of_other_sweepers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = {"lr": "tag(log, interval(1e-5, 1e-3))", "loss": "choice(hinge, minimax)"}
    summary = Summary()
    summary.on_multirun_start(
        config(tmp_path, words=["loss=hinge"], _target_="OptunaSweeper", params=params, n_trials=20)
    )
    assert (summary.total, summary.swept) == (20, ["lr"])  # what is typed wins
    end(summary, config(tmp_path, 0, ["lr=0.000258817021493792", "loss=hinge"]), 0.5)
    assert "job 1 of 20 with lr=0.0002588: eval/kid 0.5" in capsys.readouterr().out
    assert results(tmp_path)[0]["lr"] == "0.000258817021493792"
    summary.on_multirun_start(config(tmp_path, words=["seed=0,1"], _target_="other.Sweeper"))
    assert summary.total is None and "sweep of jobs in" in capsys.readouterr().out


@pytest.mark.slow
def test_a_real_sweep_goes_on_after_jobs_that_fail(train: Train, tmp_path: Path) -> None:
    """ADA cannot be combined with the Wasserstein loss, which the first job finds out when it starts."""
    words = ["-m", "augment=ada", "loss=wasserstein,hinge", "model.generator_optimizer.lr=1e-4,1e30", "images=16"]
    result = train(*words, "hydra.sweep.dir=sweep", check=2)
    said = result.stdout.splitlines()
    start = "sweep of 4 jobs in sweep; loss: wasserstein, hinge; model.generator_optimizer.lr: 0.0001, 1e+30"
    assert start in said
    assert any(line.startswith("job 3 of 4 with loss=hinge, lr=0.0001: eval/") for line in said)
    assert [(row["run"], row["status"]) for row in results(tmp_path / "sweep")] == [
        ("2", "finished"), ("0", "failed"), ("1", "failed"), ("3", "diverged")
    ]  # fmt: skip
    assert "augment=ada adapts" in results(tmp_path / "sweep")[1]["error"] and "Traceback" not in result.stderr
    assert said[-1].startswith("results: sweep/results.csv; compare with: gan compare sweep")


@pytest.mark.slow
def test_an_optuna_search_prints_its_trials(train: Train, tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    said = train("-m", "search=optuna", "hydra.sweeper.n_trials=2", "images=16", "hydra.sweep.dir=sweep").stdout
    assert "sweep of 2 jobs" in said and "job 2 of 2 with generator_optimizer.lr=" in said
    assert len(results(tmp_path / "sweep")) == 2
