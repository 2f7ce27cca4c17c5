"""Trackio: a run in an SQLite file beside the run folder, in a Trackio server, or in a Space of Hugging Face."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from PIL import Image

from gan.training.loggers.remote import check_answers, read_id, write_id

INSTEAD = "start the server, or use logger.trackio.server_url=null"


class Trackio(Logger):
    """Logs to Trackio. Its step is the number of images seen.

    On resume, values up to the last step are skipped, so that none is doubled. Trackio adds the user's name only if
    somebody is logged in to Hugging Face.

    Args:
        run: the run folder.
        project: the project in Trackio.
        space_id: Space of Hugging Face to log to, such as USER/NAME; a new one is private. None: no Space.
        server_url: address of a Trackio server; None uses TRACKIO_SERVER_URL, or a file beside `run`.

    Raises:
        UserError: the server does not answer.
    """

    name, version = "trackio", ""

    def __init__(self, run: str, project: str, space_id: str | None = None, server_url: str | None = None) -> None:
        super().__init__()
        folder = Path(run).resolve()
        os.environ.setdefault("TRACKIO_DIR", str(folder.parent / "trackio"))  # read when trackio is imported
        import trackio

        server = server_url or os.environ.get("TRACKIO_SERVER_URL")
        if server and not space_id:
            check_answers("trackio", server, INSTEAD)
        name = read_id(folder, "trackio") or f"{folder.name}-{secrets.token_hex(2)}"
        with contextlib.redirect_stdout(io.StringIO()):  # several lines; `where` has what matters
            self.experiment = trackio.init(
                project=project,
                name=name,
                space_id=space_id,
                server_url=server,
                resume="allow",
                private=True,
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        trackio.context_vars.current_run.set(None)  # at exit, it would be finished a second time
        self.last: int = getattr(self.experiment, "_initial_last_step", None) or -1
        write_id(folder, "trackio", name)
        local = f"{trackio.TRACKIO_DIR}; show it with: TRACKIO_DIR={os.path.relpath(trackio.TRACKIO_DIR)} trackio show"
        self.where = f"run {name} in {space_id or server or local}"

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        if step is None or step > self.last:
            self.experiment.log(dict(metrics), step=step)

    def add_png(self, name: str, png: bytes, images: int) -> None:
        import trackio

        self.log_metrics({name: trackio.Image(Image.open(io.BytesIO(png)))}, images)

    def add_text(self, name: str, text: str, images: int) -> None:
        import trackio

        self.log_metrics({name: trackio.Markdown(text)}, images)

    def add_config(self, config: dict[str, Any], choices: Mapping[str, str | float | bool], score: str) -> None:
        """Set the configuration, which Trackio sends with the next values."""
        self.experiment.config |= {
            name.lstrip("_"): value for name, value in {**config, "overrides": dict(choices)}.items()
        }

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: `add_config` logs the configuration."""

    def finalize(self, status: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.experiment.finish()
