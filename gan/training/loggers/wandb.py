"""Weights & Biases: a run online, or offline in the run folder."""

from __future__ import annotations

import html
import io
import netrc
import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from lightning.pytorch.loggers import Logger
from PIL import Image

from gan.common.errors import UserError
from gan.training.loggers.remote import WAIT, check_answers, read_id, write_id

INSTEAD = "use logger.wandb.mode=offline and send the run later with wandb sync"
MODES = ("online", "offline")


class Wandb(Logger):
    """Logs to Weights & Biases. Its step is the number of images seen.

    The server drops values at steps before its last one, so that a resumed run doubles none. Nothing about the machine,
    the command, the environment, the code or the output is sent: wandb's copies may contain secrets.

    Args:
        run: the run folder, which also gets wandb's own files.
        project: the project in W&B.
        entity: the user or team; None uses WANDB_ENTITY or the default of the account.
        mode: "online" or "offline"; None uses WANDB_MODE, or "online".
        tags: tags of the run.

    Raises:
        UserError: the mode is unknown, nobody is logged in, or the server does not answer.
    """

    name, version = "wandb", ""

    def __init__(
        self, run: str, project: str, entity: str | None = None, mode: str | None = None, tags: Sequence[str] = ()
    ) -> None:
        super().__init__()
        import wandb

        mode = mode or os.environ.get("WANDB_MODE") or "online"
        if mode not in MODES:
            raise UserError(f"logger.wandb.mode={mode}: must be online or offline")
        address = str(wandb.setup().settings.base_url)
        if mode == "online":
            check_login(address)
            check_answers("wandb", address, INSTEAD)
        self.identity = read_id(Path(run), "wandb") or secrets.token_hex(4)
        self.experiment = wandb.init(
            project=project,
            entity=entity,
            name=Path(run).resolve().name,
            id=self.identity,
            resume="allow",
            dir=run,
            mode=cast(Any, mode),
            tags=list(tags),
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                save_code=False,
                disable_job_creation=True,
                x_disable_meta=True,
                x_disable_machine_info=True,
                x_disable_stats=True,
                x_save_requirements=False,
                host="",
                program="",
                init_timeout=3 * WAIT,
                finish_timeout=3 * WAIT,
            ),
        )
        write_id(Path(run), "wandb", self.identity)
        later = f"offline; send it with: wandb sync {os.path.relpath(run)}/wandb/offline-run-*"
        self.where = later if mode == "offline" else str(self.experiment.url)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log(dict(metrics), step=step)

    def add_png(self, name: str, png: bytes, images: int) -> None:
        import wandb

        self.experiment.log({name: wandb.Image(Image.open(io.BytesIO(png)))}, step=images)

    def add_text(self, name: str, text: str, images: int) -> None:
        import wandb

        self.experiment.log({name: wandb.Html(f"<pre>{html.escape(text)}</pre>")}, step=images)

    def add_config(self, config: dict[str, Any], choices: Mapping[str, str | float | bool], score: str) -> None:
        self.experiment.config.update({**config, "overrides": dict(choices)}, allow_val_change=True)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: `add_config` logs the configuration."""

    def finalize(self, status: str) -> None:
        self.experiment.finish(exit_code=0 if status == "success" else 1)


def check_login(address: str) -> None:
    """Raise UserError if wandb has no API key for a server. It would ask for one, and wait."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return
    for path in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        with suppress(OSError, netrc.NetrcParseError):
            if netrc.netrc(os.path.expanduser(path)).authenticators(urlsplit(address).hostname or ""):
                return
    raise UserError(f"logger=wandb: nobody is logged in; run `wandb login`, set WANDB_API_KEY, or {INSTEAD}")
