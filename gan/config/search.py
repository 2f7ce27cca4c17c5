"""Search options with Optuna (Akiba et al., 2019, arXiv:1907.10902): the sweeper of `search=optuna`. No torch.

Each trial is a job of the sweep. A search that was interrupted continues with the trials that were interrupted, whose
jobs resume in their folders.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gan.utils.errors import UserError, at_least, reason
from gan.utils.output import print_line

ATTEMPTS, PAUSE = 5, 0.4  # to open the database, and seconds between two of them


class Search(Sweeper):
    """Ask Optuna for trials one at a time, and tell it their objectives.

    Args:
        n_trials: number of trials of the study, with those of earlier starts and of other processes.
        study_name: name of the study in the database.
        storage: URL of the database; None: search.db in the folder of the sweep.
        sampler, pruner: those of Optuna.
        params: what to search, by option, in the syntax of Hydra's sweeps. Options on the command line have priority.
    """

    trial: Any = None  # whose job runs in this process
    pruned = False  # whether its job was ended by the pruner
    direction = "minimize"  # or maximize, which the objective decides

    def __init__(
        self, n_trials: int, study_name: str, storage: str | None, sampler: Any, pruner: Any, params: dict[str, str]
    ) -> None:
        self.n_trials = at_least("hydra.sweeper.n_trials", n_trials, 1)
        self.study_name, self.storage, self.sampler, self.pruner = study_name, storage, sampler, pruner
        self.params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.folder = Path(config.hydra.sweep.dir)
        self.parser = OverridesParser.create(config_loader=hydra_context.config_loader)
        self.launcher: Any = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> None:
        typed = self.parser.parse_overrides(arguments)
        params = self.parser.parse_overrides([f"{key}={value}" for key, value in self.params.items()])
        options = {each.get_key_element(): each for each in [*params, *typed]}
        space = {key: distribution(each) for key, each in options.items() if each.is_sweep_override()}
        fixed = [each.input_line or "" for each in typed if not each.is_sweep_override()]
        study = self.study()
        waiting = self.interrupted(study)
        while waiting or len(study.trials) < self.n_trials:
            trial = waiting.pop(0) if waiting else study.ask(space)
            trial.set_user_attr("folder", str(self.folder))
            self.run(study, trial, [*fixed, *(f"{key}={value}" for key, value in trial.params.items())])
        best = study.best_trial
        print_line(f"best: job {best.number + 1}, {best.value:.4g}")

    def study(self) -> Any:
        """Return the study in the database. The sampler of a study that goes on does not repeat its first trials."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = self.storage or f"sqlite:///{self.folder / 'search.db'}"
        options = {"sampler": self.sampler, "pruner": self.pruner, "direction": self.direction, "load_if_exists": True}
        for attempt in range(ATTEMPTS):
            try:
                study = optuna.create_study(study_name=self.study_name, storage=storage, **options)
                break
            except Exception as error:  # databases have their own; another process may be creating the tables
                if attempt == ATTEMPTS - 1:
                    raise UserError(f"hydra.sweeper.storage={storage}: {reason(error)}") from error
                time.sleep(PAUSE)
        if study.trials:
            self.sampler.reseed_rng()
        return study

    def interrupted(self, study: Any) -> list[Any]:
        """Return the trials that began in this folder and did not end."""
        import optuna

        running = study.get_trials(states=[optuna.trial.TrialState.RUNNING])
        here = (each for each in running if each.user_attrs.get("folder") == str(self.folder))
        return [optuna.trial.Trial(study, each._trial_id) for each in here]

    def run(self, study: Any, trial: Any, overrides: list[str]) -> None:
        """Train the job of a trial."""
        import optuna

        Search.trial, Search.pruned = trial, False
        job = self.launcher.launch([overrides], initial_job_idx=trial.number)[0]
        if Search.pruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, job.return_value)
        Search.trial = None


def is_pruned(evaluation: int, score: float) -> bool:
    """Report a score to the search that runs this job, and return whether it ends the job.

    Args:
        evaluation: number of the evaluation in this job; trials are compared after as many evaluations.
    """
    if Search.trial is None:
        return False
    Search.trial.report(score, evaluation)
    Search.pruned = Search.trial.should_prune()
    return Search.pruned


def distribution(option: Override) -> Any:
    """Return Optuna's distribution of a swept option."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    swept: Any = option.value()
    if isinstance(swept, IntervalSweep):
        whole = isinstance(swept.start, int) and isinstance(swept.end, int)
        kind: Any = IntDistribution if whole else FloatDistribution
        return kind(swept.start, swept.end, log="log" in swept.tags)
    if isinstance(swept, RangeSweep | ChoiceSweep):
        alternatives: Any = option.sweep_iterator(Transformer.encode)
        return CategoricalDistribution(list(alternatives))
    raise UserError(f"{option.input_line}: a search takes choice(), range() and interval()")


def register() -> None:
    """Make `Search` known to Hydra, which creates sweepers only from the package hydra_plugins."""
    plugins = Plugins.instance()  # imports hydra_plugins, if a package of that name is installed
    package: Any = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    package.retro_gan = sys.modules[__name__]
    Search.__module__ = "hydra_plugins.retro_gan"
    plugins.register(Search)
