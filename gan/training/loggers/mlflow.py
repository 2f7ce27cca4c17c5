"""MLflow: a run in a tracking server, or in an SQLite file beside the run folder."""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import Logger
from PIL import Image

from gan.common.errors import UserError, to_line
from gan.common.nested import flatten
from gan.run.secrets import hide
from gan.training.loggers.remote import WAIT, check_answers, read_id, write_id

INSTEAD = "start the server, or use logger.mlflow.tracking_uri=URL"
MAX_PARAM = 6000  # characters of a parameter that MLflow accepts
PARAMS_AT_ONCE = 100  # parameters that MLflow accepts in one request


class MLflow(Logger):
    """Logs to MLflow. A metric's step is the number of images seen.

    On resume, values up to the last step of each metric are skipped, so that none is doubled. User, command, source and
    git repository, which MLflow adds to runs of its own, are not logged: they may contain secrets.

    Args:
        run: the run folder.
        experiment: name of the experiment, which is created if it does not exist.
        tracking_uri: address of the server or the database; None uses MLFLOW_TRACKING_URI, or mlflow.db beside `run`.

    Raises:
        UserError: the server does not answer, or refuses the run.
    """

    name, version = "mlflow", ""

    def __init__(self, run: str, experiment: str, tracking_uri: str | None = None) -> None:
        super().__init__()
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 retries with 120 s each by default
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(int(WAIT)))
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        logging.getLogger("alembic").setLevel(logging.WARNING)  # a line per table of a new database
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # which mlflow sets to INFO when it is imported
        folder = Path(run).resolve()
        beside = f"sqlite:///{folder.parent / 'mlflow.db'}"
        self.address = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or beside
        if self.address.startswith(("http://", "https://")):
            check_answers("mlflow", self.address, INSTEAD)
        try:
            self.client = MlflowClient(self.address)
            self.run_id = self.find_or_create(folder, experiment)
            self.last = self.last_steps()
        except (MlflowException, OSError) as error:
            raise UserError(f"logger=mlflow: {hide(self.address)}: {hide(to_line(error))}; {INSTEAD}") from error
        self.experiment = self.client
        write_id(folder, "mlflow", self.run_id)
        self.where = f"run {self.run_id} in {hide(self.address)}"
        if self.address == beside:
            database = os.path.relpath(folder.parent / "mlflow.db")
            self.where += f"; show it with: mlflow ui --backend-store-uri sqlite:///{database}"

    def find_or_create(self, folder: Path, experiment: str) -> str:
        """Return the id of the run's earlier part, or of a new run."""
        from mlflow.exceptions import MlflowException

        if stored := read_id(folder, "mlflow"):
            try:
                self.client.update_run(stored, status="RUNNING")
                return stored
            except MlflowException:  # another server
                pass
        known = self.client.get_experiment_by_name(experiment)
        local = self.address.startswith("sqlite:")
        number = (
            known.experiment_id
            if known
            else self.client.create_experiment(
                experiment, artifact_location=(folder.parent / "mlflow_artifacts").as_uri() if local else None
            )
        )
        return str(self.client.create_run(number, run_name=folder.name).info.run_id)

    def last_steps(self) -> dict[str, int]:
        """Return the last step of each metric that the run already has."""
        names = self.client.get_run(self.run_id).data.metrics
        return {name: max(value.step for value in self.client.get_metric_history(self.run_id, name)) for name in names}

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        from mlflow.entities import Metric

        now, step = int(time.time() * 1000), step or 0
        new = [Metric(name, value, now, step) for name, value in metrics.items() if step > self.last.get(name, -1)]
        self.client.log_batch(self.run_id, metrics=new)

    def add_png(self, name: str, png: bytes, images: int) -> None:
        self.client.log_image(self.run_id, Image.open(io.BytesIO(png)), key=name, step=images)

    def add_text(self, name: str, text: str, images: int) -> None:
        self.client.log_text(self.run_id, text, f"{name}.md")

    def add_config(self, config: dict[str, Any], choices: Mapping[str, str | float | bool], score: str) -> None:
        """Log options as parameters. A parameter cannot change, so a resumed run keeps the old value."""
        from mlflow.entities import Param

        self.client.log_text(self.run_id, yaml.safe_dump(config, sort_keys=False), "config.yaml")
        self.client.set_tag(self.run_id, "retro_gan.overrides", yaml.safe_dump(dict(choices))[:MAX_PARAM])
        known = self.client.get_run(self.run_id).data.params
        options = {name: str(value)[:MAX_PARAM] for name, value in flatten(config).items() if name not in known}
        params = [Param(name, value) for name, value in options.items()]
        for first in range(0, len(params), PARAMS_AT_ONCE):
            self.client.log_batch(self.run_id, params=params[first : first + PARAMS_AT_ONCE])

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: `add_config` logs the configuration."""

    def finalize(self, status: str) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if status == "success" else "FAILED")
