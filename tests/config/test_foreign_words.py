"""Words of other frameworks are answered with ours, in one line, before anything is composed or trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import HydraException

from gan.config.compose import check_options, compose
from gan.config.launch import prepare
from gan.config.mistakes import FLAGS, check_words, describe_foreign, message_of
from gan.utils.errors import UserError


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pics", "b", "runs/first/checkpoints"):
        (tmp_path / name).mkdir(parents=True)


def said(*typed: str) -> str:
    with pytest.raises(UserError) as caught:
        check_words(typed)
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        ("--epochs 10", "images=N"),
        ("--cfg job --batch-size 8", "data.batch_size=VALUE,"),
        ("+run=base", "hydra.run.dir=runs/NAME"),
        ("--nonsense", "NAME=VALUE"),
        ("pics", "write data.root=pics"),
        ("runs/first", "write resume=runs/first"),
        ("data.size = 64", "NAME=VALUE, without spaces around ="),
        ("+sead=3", "did you mean seed"),
    ],
)
def test_a_word_is_answered_with_ours(typed: str, ours: str) -> None:
    line = said(*typed.split(" "))
    assert ours in line and "\n" not in line


@pytest.mark.slow
@pytest.mark.parametrize(("word", "ours"), [("epochs", "images=N"), ("model.lr", "lr=VALUE")])
def test_a_key_that_does_not_exist_is_answered_with_ours(word: str, ours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", f"{word}=7"])
    with pytest.raises((HydraException, UserError)) as caught:
        prepare([f"{word}=7"])
    line = message_of(caught.value)
    assert line and line.startswith(f"{word}: ") and ours in line


def test_the_trainers_own_length_is_refused() -> None:
    with pytest.raises(UserError, match="set the length with images=N"):
        check_options(compose(["trainer.max_epochs=5"]))


def test_our_own_words_pass() -> None:
    ours = ["-m", "data.root=pics", "loss=hinge,san", "penalty=[r1,r2]", "~search", "trainer.max_epochs=-1"]
    ours += ["trainer.devices=2", "seed=1", "logger=[]", "logger=tensorboard", "data.root=a=b"]
    ours += ["+trainer.detect_anomaly=true", "--multirun", "resume=auto", "data.root='my pics'", "penalty=r1,r2"]
    check_words(ours)
    check_words(["--cfg", "job"])
    for flag in FLAGS:
        check_words([flag])


def test_groups_and_options_that_exist_are_not_foreign() -> None:
    cfg = compose([])
    assert not [key for key in cfg if key != "hydra" and describe_foreign(str(key))]
