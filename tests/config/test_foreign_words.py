"""Words of other frameworks are answered with ours, in one line, before anything is composed or trained."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from hydra.errors import HydraException

from gan.config.compose import compose, options
from gan.config.early_checks import ANSWERS, FLAGS, check_words, describe_foreign
from gan.config.launch import message_of
from gan.config.paths import CONF, groups
from gan.config.resume import prepare
from gan.utils.errors import UserError

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pics", "b", "runs/first/checkpoints"):
        (tmp_path / name).mkdir(parents=True)


@functools.cache
def existing() -> set[str]:
    """Return all options of the recipes, and all GROUP=FILE."""
    penalties = ",".join(sorted(path.stem for path in (CONF / "penalty").glob("*.yaml")))
    choices = [[f"model={model}", f"penalty=[{penalties}]"] for model in MODELS]
    choices += [[f"data={data}"] for data in DATA]
    choices += [[f"augment={path.stem}"] for path in (CONF / "augment").glob("*.yaml")]
    found = {f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml")}
    for choice in choices:
        for key in options(choice):
            parts = key.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return found


@functools.cache
def known() -> list[str]:
    return [*groups(), *options([])]


def said(*typed: str) -> str:
    with pytest.raises(UserError) as caught:
        check_words(typed, known)
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "ours"),
    [
        ("--epochs 10", "images=N"),
        ("--lr 0.1", "model.generator_optimizer.lr=0.1 model.discriminator_optimizer.lr=0.1"),
        ("--batch-size 8", "data.batch_size=8,"),
        ("+run=base", "hydra.run.dir=runs/NAME"),
        ("--data.root pics", "write data.root=pics"),
        ("--nonsense", "NAME=VALUE"),
        ("--cfg job --kimg 25", "images=25000"),
        ("pics", "write data.root=pics"),
        ("runs/first", "write resume=runs/first"),
        ("stylegan2", "write model=stylegan2"),
        ("data.size = 64", "write data.size=VALUE without spaces"),
        ("trainer.max_epochs=5", "images=N"),
        ("+trainer.gradient_clip_val=1", "gradients are not clipped"),
        ("+sead=3", "did you mean seed"),
        ("logger=false", "write logger=[]"),
        ("penalty=r1,r2", "write penalty=[r1,r2]"),
    ],
)
def test_a_word_is_answered_with_ours(typed: str, ours: str) -> None:
    line = said(*typed.split(" "))
    assert ours in line and "\n" not in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "word",
    ["epochs", "run", "model.lr", "trainer.gpus"],
)
def test_a_key_that_does_not_exist_is_answered_with_ours(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", f"{word}=7"])
    with pytest.raises((HydraException, UserError)) as caught:
        prepare([f"{word}=7"])
    line = message_of(caught.value)
    assert (
        line
        and line.startswith(f"{word}: ")
        and re.search(r"images=|lr=7|\w=7|resume=|callback=|search=|model\.|run\.dir=", line)
    )


def test_a_path_is_quoted_for_the_shell(tmp_path: Path) -> None:
    (tmp_path / "my pics").mkdir()
    assert said("my pics").endswith("write 'data.root=my pics'")


def test_our_own_words_pass() -> None:
    ours = ["-m", "data.root=pics", "loss=hinge,san", "penalty=[r1,r2]", "~search", "trainer.max_epochs=-1"]
    ours += ["trainer.devices=2", "seed=1", "logger=[]", "logger=tensorboard", "data.root=a=b"]
    ours += ["+trainer.detect_anomaly=true", "--multirun", "resume=auto", "data.root='my pics'", "penalty=r1,r2"]
    check_words(ours, known)
    check_words(["--cfg", "job"], list)
    for flag in FLAGS:
        check_words([flag], list)


@pytest.mark.slow
def test_answers_name_options_that_exist_for_words_that_do_not() -> None:
    there = existing() | {path.name for path in CONF.iterdir() if path.is_dir()} | {"hydra.run.dir"}
    there |= {"callback.evaluate.interval", "callback.checkpoint.interval", "callback.samples.interval"}
    there |= {"penalty.r1.weight", "model.generator_optimizer._target_", "data.a", "data.b", "data.root"}
    assert not there & ANSWERS.keys() - {"compile", "metrics"}
    for text in ANSWERS.values():
        for name in re.findall(r"([a-z_0-9.]+)=", text):
            assert name in there or name in ("length", "images", "minutes", "seed", "debug", "data.max_images"), text


def test_groups_and_options_that_exist_are_not_foreign() -> None:
    cfg = compose([])
    assert not [key for key in cfg if key != "hydra" and describe_foreign(str(key))]
