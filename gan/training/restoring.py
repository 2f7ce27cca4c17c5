"""Refuse a checkpoint whose states do not have the structure that training writes, in one line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Number
from pathlib import Path
from typing import Any

from torch import Tensor

from gan.common.errors import UserError

DAMAGE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)  # raised by a state of another structure
RESTORING = {  # method of Lightning that restores a part of a checkpoint -> name of the part
    "restore_datamodule": "the data",
    "restore_model": "the model",
    "restore_callbacks": "the callbacks",
    "restore_precision_plugin_state": "the precision",
    "restore_loops": "loops",
    "restore_optimizers_and_schedulers": "the optimizers",
}

# Names in the states of torch's optimizers whose tensors have the shape of the parameter.
MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg")


class Damaged(ValueError):
    """A part of a checkpoint has another structure than training writes. The message is the name of the part."""


def damage(error: BaseException, path: str | Path) -> UserError | None:
    """Return what to raise instead if restoring a checkpoint raised the error; None if the error is another one."""
    if not isinstance(error, DAMAGE):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = [frame for frame in frames if Path(frame.f_code.co_filename).name == "checkpoint_connector.py"]
    names = [RESTORING[frame.f_code.co_name] for frame in found if frame.f_code.co_name in RESTORING]
    if not names:
        return None
    owners = [type(frame.f_locals.get("self")) for frame in frames if frame.f_code.co_name == "load_state_dict"]
    name = owners[0].__name__ if names[0] == "the callbacks" and owners else names[0]
    name = str(error) if isinstance(error, Damaged) else name
    return UserError(f"{path}: training cannot be resumed: the state of {name} is damaged")


@contextmanager
def restoring(name: str) -> Iterator[None]:
    """Turn an error that a state of another structure raises into Damaged with the name of the part."""
    try:
        yield
    except DAMAGE as error:
        raise Damaged(name) from error


def check_optimizers(states: list[Any], parameters: Sequence[Sequence[Tensor]]) -> None:
    """Raise ValueError or another of DAMAGE for states that torch would load without an error, but not train with.

    Args:
        parameters: those of each optimizer.
    """
    if len(states) != len(parameters):
        raise ValueError("another number of optimizers")
    for state, own in zip(states, parameters, strict=True):
        for index, values in state["state"].items():
            if not all(value is None or isinstance(value, Tensor | Number) for value in values.values()):
                raise ValueError("an optimizer's state is neither a tensor nor a number")
            if any(values[name].shape != own[index].shape for name in MOMENTS if isinstance(values.get(name), Tensor)):
                raise ValueError("an optimizer's state has another shape than its parameter")


def check_like(value: Any, template: Any) -> None:
    """Raise ValueError if a part of `value` has another type than in `template`; numbers have the same type."""
    if isinstance(template, Mapping) and isinstance(value, Mapping):
        for name in template.keys() & value.keys():
            check_like(value[name], template[name])
    elif not isinstance(value, Number if isinstance(template, Number) else type(template)):
        raise ValueError(f"{value} is not of type {type(template).__name__}")
