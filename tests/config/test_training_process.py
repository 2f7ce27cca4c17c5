"""Keywords of Python become options of the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import gan
from gan.config import training_process
from gan.config.training_process import folder_of, in_grammar, option_name
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 0.5, 1e-5, -2, "folder", "1977", "null", "a b", "it's", "back\\", "x=[1,{2}]", "", "é", ["r1", 2],
     [], "a/b.c", "[x]", "a,b"],
)  # fmt: skip
def test_values_arrive_as_they_are(value: object) -> None:
    (override,) = OverridesParser.create().parse_overrides([f"key={in_grammar(value)}"])
    assert (override.value() == value and type(override.value()) is type(value)) or str(override.value()) == value


def test_numbers_of_numpy_and_paths_are_values() -> None:
    assert in_grammar(np.int64(3)) == "3" and in_grammar(np.float32(0.5)) == "0.5"
    assert in_grammar(Path("a b")) == "'a b'"
    with pytest.raises(UserError, match="type object"):
        in_grammar(object())


def test_names_of_data_need_no_prefix() -> None:
    names = ("model", "minutes", "root", "size", "a", "labels", "batch_size", "model.ema", "search", "lr")
    expected = "model minutes data.root data.size data.a data.labels data.batch_size model.ema search lr"
    assert " ".join(map(option_name, names)) == expected


def test_the_folder_of_a_run_is_known_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new = folder_of(None, {"model": "dcgan", "data": "folder"})
    assert new.parent == Path("runs") and new.name.endswith("_dcgan_folder")
    assert folder_of("here", {}) == Path("here") and folder_of(None, {"resume": "runs/x"}) == Path("runs/x")
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "x.ckpt").touch()
    assert folder_of(None, {"resume": tmp_path / "run" / "checkpoints" / "x.ckpt"}) == tmp_path / "run"
    with pytest.raises(UserError, match="needs the folder"):
        folder_of(None, {"resume": "auto"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"run": "other", "resume": "base"}, "run=other, resume=base: a resumed run stays in its folder"),
        ({"options": {"-m": 1}}, "options: '-m' is not the name of an option"),
    ],
)
def test_wrong_arguments_are_said_before_training(
    arguments: Any, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training_process, "run_process", lambda *_: pytest.fail("training started"))
    with pytest.raises(UserError, match=said) as raised:
        gan.train(**arguments)
    assert "\n" not in str(raised.value)
