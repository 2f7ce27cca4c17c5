"""Compose the configuration from conf/. No torch at import."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from gan.common.errors import UserError, at_least
from gan.common.nested import flatten
from gan.run import resolvers, secrets
from gan.run.paths import CONF

resolvers.register()


def compose(overrides: list[str]) -> DictConfig:
    """Return the configuration that Hydra composes from these overrides, including Hydra's own part.

    Raises:
        HydraException: an unknown option, group or value.
    """
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("train", overrides, return_hydra_config=True)


def options(groups: list[str]) -> dict[str, Any]:
    """Return all options of the configuration with these choices of groups: {dotted key: unresolved value}."""
    return flatten(OmegaConf.to_container(compose(groups), resolve=False))


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """Return a configuration without Hydra's part, as resolved plain containers without secrets."""
    plain: dict[str, Any] = secrets.hide({str(key): secrets.resolve_item(cfg, key) for key in cfg if key != "hydra"})
    return plain


def check_options(cfg: DictConfig) -> None:
    """Raise UserError if an option of train.yaml is out of range."""
    if cfg.images is None and cfg.minutes is None:
        raise UserError("images and minutes are both null; set one of them to limit the run")
    if cfg.images is not None:
        at_least("images", cfg.images, 1)
    if cfg.minutes is not None and (isinstance(cfg.minutes, str) or not 0 < cfg.minutes < math.inf):
        raise UserError(f"minutes={cfg.minutes}: must be a number greater than 0")
    at_least("seed", cfg.seed, 0)
    check_packages(cfg.logger)
    if cfg.objective_mode not in ("best", "last"):
        raise UserError(f"objective_mode={cfg.objective_mode}: must be best or last")


def check_packages(loggers: DictConfig) -> None:
    """Raise UserError if the package of a logger is not installed: each module of gan.training.loggers has its name."""
    for name in map(str, loggers):
        module, _, package = str(loggers[name].get("_target_", "")).rpartition(".")[0].rpartition(".")
        if module == "gan.training.loggers" and importlib.util.find_spec(package) is None:
            raise UserError(f"logger={name}: {package} is not installed; pip install 'retro-gan[{package}]'")
