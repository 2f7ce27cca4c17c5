"""TensorBoard, W&B and MLflow: makes Lightning's loggers, so that a resumed run goes on in the same curves.

Nothing about the machine, the command, the environment or the code is sent, because it may contain secrets.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gan.config.secrets import hide
from gan.runs.run_folder import LOGGERS
from gan.utils.errors import choice
from gan.utils.files import write_json
from gan.utils.untrusted import read_json

if TYPE_CHECKING:
    from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger

WAIT = 10  # seconds for a server to answer


def tensorboard(run: str, resumed_at: int | None = None) -> TensorBoardLogger:
    """Return the logger of TensorBoard's event files in the run folder. Events after `resumed_at` are discarded."""
    from lightning.pytorch.loggers import TensorBoardLogger

    purge: dict[str, Any] = {} if resumed_at is None else {"purge_step": resumed_at + 1}
    return TensorBoardLogger(run, name="", version="", default_hp_metric=False, flush_secs=10, **purge)


def wandb(
    run: str, project: str, entity: str | None = None, mode: str | None = None, tags: Sequence[str] = ()
) -> WandbLogger:
    """Return the logger of Weights & Biases, which writes into the run folder if it is offline."""
    import wandb as package
    from lightning.pytorch.loggers import WandbLogger

    mode = mode or os.environ.get("WANDB_MODE") or "online"
    choice("logger.wandb.mode", mode, ("online", "offline"))
    settings = package.Settings(
        silent=True, console="off", disable_git=True, disable_code=True, save_code=False, disable_job_creation=True,
        x_disable_meta=True, x_disable_machine_info=True, x_disable_stats=True, x_save_requirements=False,
        host="", program="", init_timeout=3 * WAIT, finish_timeout=3 * WAIT,
    )  # fmt: skip
    identity = read_id(Path(run), "wandb") or secrets.token_hex(4)
    experiment = package.init(
        name=Path(run).resolve().name, dir=run, id=identity, resume="allow", project=project, entity=entity,
        mode=cast(Any, mode), tags=list(tags), settings=settings,
    )  # fmt: skip
    experiment.define_metric("trainer/global_step")  # where WandbLogger logs the images seen, as the x axis
    experiment.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    logger = WandbLogger(experiment=experiment)
    offline = f"offline; send it with: wandb sync {os.path.relpath(run)}/wandb/offline-run-*"
    logger.where = offline if mode == "offline" else str(experiment.url)  # type: ignore[attr-defined]
    write_id(Path(run), "wandb", identity)
    return logger


def mlflow(run: str, experiment: str, tracking_uri: str | None = None) -> MLFlowLogger:
    """Return the logger of MLflow."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 retries with 120 s each by default
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(WAIT))
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a line per table of a new database
    from lightning.pytorch.loggers import MLFlowLogger
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # which mlflow sets to INFO when it is imported
    folder = Path(run).resolve()
    database = folder.parent / "mlflow.db"
    address = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database}"
    client = MlflowClient(address)
    identity = read_id(folder, "mlflow")
    if identity is None:  # made here, because Lightning's logger tags a new run with the user and the command
        known = client.get_experiment_by_name(experiment)
        files = (folder.parent / "mlflow_artifacts").as_uri() if address.startswith("sqlite:") else None
        number = known.experiment_id if known else client.create_experiment(experiment, artifact_location=files)
        identity = client.create_run(number, run_name=folder.name).info.run_id
        write_id(folder, "mlflow", identity)
    else:
        client.update_run(identity, status="RUNNING")
    logger = MLFlowLogger(experiment, tracking_uri=address, run_id=identity)
    show = f"; show it with: mlflow ui --backend-store-uri sqlite:///{os.path.relpath(database)}"
    logger.where = f"run {identity} in {hide(address)}{show * address.endswith(str(database))}"  # type: ignore[attr-defined]
    return logger


def read_id(run: Path, logger: str) -> str | None:
    """Return the id of a run in a service, from the untrusted run folder; None if there is none."""
    value = read_ids(run).get(logger)
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", value) else None


def write_id(run: Path, logger: str, value: str) -> None:
    write_json(run / LOGGERS, read_ids(run) | {logger: value})


def read_ids(run: Path) -> dict[str, Any]:
    try:
        ids = read_json(run / LOGGERS)
    except (OSError, ValueError):
        return {}
    return ids if isinstance(ids, dict) else {}
