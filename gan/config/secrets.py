"""Keep secrets out of files and loggers: passwords and tokens in options, and values from the environment. No torch."""

from __future__ import annotations

import os
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

MISSING = "???"  # OmegaConf's mark of an option that must be set
MIN_LENGTH = 8  # characters of an environment variable's value to look for in text; a shorter one is only a whole text
WORDS = (
    r"(?:token|secret|password|passwd|passphrase|credential|api_?key)s?|(?<![^\W_])(?:key|pass|pwd|pat|jwt|auth|dsn)"
)
NAME = re.compile(rf"(?:{WORDS})(?![^\W\d_])", re.IGNORECASE)  # in names of secret variables, options and parameters
USER_INFO = re.compile(r"(\w+://)[^/@\s'\"]+@")  # user:password@ in an address
PARAMETER = re.compile(rf"([?&;][\w.-]*(?:{WORDS})=)(?!\*\*\*)[^&;#\s'\"]+", re.IGNORECASE)

_read: set[str] = set()  # environment variables that interpolations have read


def env(name: str, *default: object) -> Any:
    """OmegaConf's resolver oc.env, which notes what it reads."""
    _read.add(name)
    return oc.env(name, *default)


OmegaConf.register_new_resolver("oc.env", env, replace=True)


def to_plain(node: DictConfig) -> dict[str, Any]:
    """Return a configuration as resolved plain containers without secrets; text from the environment is named."""
    return dict(hide(OmegaConf.to_container(node, resolve=True)))


def hide(value: object, option: str = "") -> Any:
    """Return plain containers and text without secrets.

    The value of an environment variable that is secret by its name, or was read by an interpolation, becomes
    ${oc.env:NAME}. The value of an option such as `token` or `api_key` becomes ???, so that a resumed run asks for it.
    Users and passwords in addresses are removed, and values of parameters such as ?api_key= become ***.

    Args:
        option: dotted name of the option with this value.
    """
    if isinstance(value, dict):
        return {name: hide(inside, str(name)) for name, inside in value.items()}
    if isinstance(value, list):
        return [hide(inside, option) for inside in value]
    if not isinstance(value, str):
        return value
    value = name_variables(value)
    if value and "${" not in value and NAME.search(option.rpartition(".")[2]):
        return MISSING
    return PARAMETER.sub(r"\1***", USER_INFO.sub(r"\1", value))


def name_variables(text: str) -> str:
    """Return text in which the value of each secret environment variable is ${oc.env:NAME}; see `hide`.

    A value that is an existing path is no secret, and commands find the images of a run by it.
    """
    named = [(name, value) for name, value in os.environ.items() if name in _read or NAME.search(name)]
    secret = [(name, value) for name, value in named if not os.path.exists(value)]
    for name, value in sorted(secret, key=lambda pair: -len(pair[1])):
        if len(value) >= MIN_LENGTH or (value and value == text and name in _read and NAME.search(name)):
            text = text.replace(value, f"${{oc.env:{name}}}")
    return text
