"""Errors that users can fix are one line; bugs keep their traceback."""

from __future__ import annotations

import pytest
from hydra.errors import HydraException

from gan.config.compose import compose
from gan.config.mistakes import message_of
from gan.utils.errors import UserError, did_you_mean


def message(*typed: str) -> str | None:
    with pytest.raises((HydraException, UserError)) as caught:
        compose(list(typed))
    return message_of(caught.value)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("data=photographs/old", "data=photographs/old: is no file of conf/data; for a folder, write data.root=PATH"),
        ("model=dcgn", "model=dcgn: no such model; did you mean dcgan or cyclegan?"),
        ("data.sise=32", "data.sise: no such option; did you mean data.size"),
        ("modle=dcgan", "modle: no such option; did you mean model"),
    ],
)
def test_unknown_names_get_a_suggestion(typed: str, said: str) -> None:
    line = message(typed)
    assert line is not None and line.startswith(said) and "\n" not in line


def test_options_are_those_of_the_chosen_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["model=tutorial", "penalty=[r1]", "model.generator.full_size_channels=3"]
    monkeypatch.setattr("sys.argv", ["train.py", *typed])
    line = message(*typed)
    assert line is not None and "did you mean model.generator.channels" in line
    assert "or model.generator.full_size_channels" not in line


def test_faults_of_the_program_are_not_hidden() -> None:
    assert message_of(ValueError("a bug")) is None
    for lost in (ConnectionResetError(104, "Connection reset by peer"), EOFError()):
        assert str(message_of(lost)).startswith("a worker process of the data loader died")


def test_did_you_mean() -> None:
    assert did_you_mean("zzz", ["a", "b"]) == "choose from a, b"
