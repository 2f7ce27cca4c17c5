"""The lines that a sweep prints, and the errors of its jobs."""

import os
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from gan.config.sweep import Summary, words_of_sweep
from gan.runs import lock
from gan.utils.errors import Diverged, UserError
from tests.conftest import Train


def config(folder: Path, num: int = 0, words: Any = ()) -> Any:
    hydra = {"sweep": {"dir": str(folder)}, "job": {"num": num}, "overrides": {"task": list(words)}}
    return OmegaConf.create({"objective": "eval/kid", "hydra": hydra})


def end(summary: Summary, job: Any, value: Any) -> JobReturn:
    """Run a job that returns a value or raises it."""
    summary.on_job_start(job)
    status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    ended = JobReturn(status=status, _return_value=value)
    summary.on_job_end(job, ended)
    return ended


def test_each_job_is_a_line_and_a_failed_one_does_not_end_the_sweep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = Summary()
    summary.on_multirun_start(config(tmp_path, words=["loss=hinge,minimax", "seed=range(0,2)", "images=16"]))
    for num, value in enumerate([0.5, Diverged("training diverged"), UserError("no such\nsize\x1b[2J"), 0.25]):
        words = [f"loss={'hinge' if num < 2 else 'minimax'}", f"seed={num % 2}", "images=16"]
        ended = end(summary, config(tmp_path, num, words), value)
        assert ended.status is JobStatus.COMPLETED  # otherwise Hydra's sweepers raise the error
        assert ended.return_value == (value if isinstance(value, float) else float("inf"))
    failed = "job 3 with loss=minimax, seed=0: no such size\\x1b[2J (0:00)"
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        f"sweep in {tmp_path}",
        "job 1 with loss=hinge, seed=0",
        "job 1 with loss=hinge, seed=0: eval/kid 0.5 (0:00)",
    ]
    assert said[4] == "job 2 with loss=hinge, seed=1: training diverged (0:00)" and said[6] == failed
    assert (tmp_path / "errors.txt").read_text() == f"{failed}\n"
    with pytest.raises(SystemExit) as code:
        summary.on_multirun_end(config(tmp_path))
    assert code.value.code == 2
    summary.on_multirun_start(config(tmp_path))  # resumed
    summary.on_multirun_end(config(tmp_path))


def test_a_second_process_does_not_resume_a_sweep_that_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["seed=0,1", "resume=auto", f"hydra.sweep.dir={tmp_path / 'mine'}"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "_held", {})
    words_of_sweep(words)
    first = lock._held
    monkeypatch.setattr(lock, "_held", {})  # as in another process
    with pytest.raises(UserError, match=rf"process {os.getpid()} .*hydra\.sweep\.dir="):
        words_of_sweep(words)
    for lease in first.values():
        lease.release()
    words_of_sweep(words)
    lock.release()


@pytest.mark.slow
def test_a_real_sweep_goes_on_after_jobs_that_fail(train: Train, tmp_path: Path) -> None:
    """ADA cannot be combined with the Wasserstein loss, which the first job finds out when it starts."""
    words = ["-m", "augment=ada", "loss=wasserstein,hinge", "model.generator_optimizer.lr=1e-4,1e30", "images=16"]
    result = train(*words, "hydra.sweep.dir=sweep", check=2)
    said = result.stdout.splitlines()
    assert any(line.startswith("job 3 with loss=hinge, lr=0.0001: eval/") for line in said)
    assert any(line.startswith("job 4 with loss=hinge, lr=1e+30: ") for line in said)
    failed = (tmp_path / "sweep" / "errors.txt").read_text().splitlines()
    assert [line.partition(",")[0] for line in failed] == ["job 1 with loss=wasserstein", "job 2 with loss=wasserstein"]
    assert "augment=ada and apa adapt" in failed[0] and "Traceback" not in result.stderr
    assert "compare the jobs with: gan compare sweep --out sweep/curves.png" in said
    rows = (tmp_path / "sweep" / "results.csv").read_text().splitlines()
    assert len(rows) == 5 and rows[1].startswith("sweep/2,") and ",hinge," in rows[1]  # the others have no score
