"""Searches with Optuna: distributions of options, trials that are jobs, pruned ones, and searches that continue."""

from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from gan.config import search
from gan.config.search import Search, distribution, is_pruned
from gan.config.sweep import words_of_sweep
from gan.training.callbacks.stop import StopWhenPruned
from gan.utils.errors import UserError
from tests.conftest import Train

optuna = pytest.importorskip("optuna", "3")


def parsed(word: str) -> Any:
    return OverridesParser.create().parse_override(word)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=int(interval(1, 4))", optuna.distributions.IntDistribution(1, 4)),
        ("a=interval(0.5, 2)", optuna.distributions.FloatDistribution(0.5, 2)),
        ("a=tag(log, interval(1e-5, 1e-3))", optuna.distributions.FloatDistribution(1e-5, 1e-3, log=True)),
        ("a=choice(hinge, minimax)", optuna.distributions.CategoricalDistribution(["hinge", "minimax"])),
        ("a=range(1, 6, 2)", optuna.distributions.CategoricalDistribution([1, 3, 5])),
    ],
)
def test_the_distribution_of_an_option(word: str, expected: Any) -> None:
    assert distribution(parsed(word)) == expected


def test_other_sweeps_are_refused() -> None:
    with pytest.raises(UserError, match=r"a=glob\(x\*\): a search takes choice\(\), range\(\) and interval\(\)"):
        distribution(parsed("a=glob(x*)"))


def test_a_job_is_pruned_by_the_scores_of_earlier_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=2))
    for value in (1.0, 2.0):
        trial = study.ask()
        trial.report(value, 1)
        study.tell(trial, value)
    assert not is_pruned(1, 9.0)  # no search runs this job
    monkeypatch.setattr(Search, "trial", study.ask())
    stop = StopWhenPruned("eval/kid")
    stop.alone, stop.scores = True, [(16, 1.4)]
    assert stop.reason() == "" and not Search.pruned
    monkeypatch.setattr(Search, "trial", study.ask())
    stop.scores = [(16, 1.6)]
    assert stop.reason() == "is worse than in earlier jobs" and Search.pruned
    stop.alone = False  # other processes would not know
    assert stop.reason() == ""
    Search.pruned = False


def test_a_score_that_is_better_when_higher_is_maximized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Search, "direction", "minimize")
    words_of_sweep(["search=optuna", "objective=eval/density_lite0"])
    assert Search.direction == "maximize"
    assert started(tmp_path, Launcher()).study().direction == optuna.study.StudyDirection.MAXIMIZE
    words_of_sweep(["search=optuna", "hydra.sweep.dir=other"])
    assert Search.direction == "minimize"


class Launcher:
    """Trains nothing: a job's objective is the square of its only option. The job `killed` never ends."""

    def __init__(self, killed: int = -1) -> None:
        self.jobs: list[tuple[int, list[str]]] = []
        self.killed = killed

    def launch(self, overrides: list[list[str]], initial_job_idx: int) -> Any:
        self.jobs.append((initial_job_idx, overrides[0]))
        if initial_job_idx == self.killed:
            raise KeyboardInterrupt
        value = float(overrides[0][-1].removeprefix("a=")) ** 2
        return [type("Return", (), {"return_value": value})]


def started(folder: Path, launcher: Launcher) -> Search:
    sampler, pruner = optuna.samplers.TPESampler(seed=0), optuna.pruners.NopPruner()
    made = Search(4, "test", None, sampler, pruner, {"a": "interval(-1.0, 1.0)", "b": "choice(1, 2)"})
    made.folder, made.parser, made.launcher = folder, OverridesParser.create(), launcher
    return made


def test_an_interrupted_search_continues_with_the_same_trial(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    first, second, third = Launcher(killed=2), Launcher(), Launcher()
    with pytest.raises(KeyboardInterrupt):
        started(tmp_path, first).sweep(["b=3"])  # a fixed option is not searched
    started(tmp_path, second).sweep(["b=3"])
    assert [number for number, _ in first.jobs] == [0, 1, 2] and [number for number, _ in second.jobs] == [2, 3]
    assert second.jobs[0] == first.jobs[2] and first.jobs[0][1][0] == "b=3"
    assert len({words[-1] for _, words in [*first.jobs, *second.jobs]}) == 4  # the sampler does not repeat itself
    jobs = {words[-1]: number for number, words in [*first.jobs, *second.jobs]}
    best = min(jobs, key=lambda word: abs(float(word.removeprefix("a="))))
    assert f"best: job {jobs[best] + 1}, " in capsys.readouterr().out
    started(tmp_path, third).sweep(["b=3"])
    assert third.jobs == []  # all four trials have ended


def test_a_database_that_cannot_be_opened_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PAUSE", 0)
    made = started(tmp_path, Launcher())
    made.storage = f"sqlite:///{tmp_path}/missing/search.db"
    with pytest.raises(UserError, match=r"hydra\.sweeper\.storage=sqlite:///.*search\.db: "):
        made.sweep([])


def test_two_processes_may_create_the_tables_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, failures = optuna.create_study, [RuntimeError("table studies already exists")] * 2

    def busy(**options: Any) -> Any:
        if failures:
            raise failures.pop()
        return create(**options)

    monkeypatch.setattr(optuna, "create_study", busy)
    monkeypatch.setattr(search, "PAUSE", 0)
    started(tmp_path, launcher := Launcher()).sweep(["b=3"])
    assert len(launcher.jobs) == 4


@pytest.mark.slow
def test_a_search_trains_its_trials(train: Train, tmp_path: Path) -> None:
    words = ["search=optuna", "hydra.sweeper.n_trials=2", "images=16", "hydra.sweep.dir=sweep"]
    said = train("-m", *words).stdout
    assert "job 2 with generator_optimizer.lr=" in said and "best: job " in said
    assert (tmp_path / "sweep" / "search.db").exists()
    again = train("-m", *words, "resume=auto").stdout
    assert "resuming sweep" in again and "job 1 with" not in again
