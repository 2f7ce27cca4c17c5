"""Mistakes and words of other programs are answered in one line; bugs keep their traceback."""

from pathlib import Path

import pytest
from hydra.errors import HydraException

from gan.config.compose import check_options, compose
from gan.config.launch import words_of_start
from gan.config.mistakes import FLAGS, check_words, describe_foreign, message_of
from gan.utils.errors import UserError


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pics", "b", "my old frames", "runs/first/checkpoints"):
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
        ("--data pics", "write data.root=VALUE"),
        ("data.root=my old frames data.size=64", "write 'data.root=my old frames'"),
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
        words_of_start([f"{word}=7"])
    line = message_of(caught.value)
    assert line and line.startswith(f"{word}: ") and ours in line


def test_the_trainers_own_length_is_refused() -> None:
    with pytest.raises(UserError, match="set the length with images=N"):
        check_options(compose(["trainer.max_epochs=5"]))
    for word in ("+trainer.max_steps=5", "+trainer.max_time=00:01", "trainer.limit_val_batches=1"):
        with pytest.raises(UserError, match="the run sets it itself"):
            check_options(compose([word.replace("00:01", "'00:01'")]))
    check_options(compose(["trainer.max_epochs=-1", "+trainer.log_every_n_steps=1"]))


def test_a_length_that_is_a_list_is_refused() -> None:
    with pytest.raises(UserError, match=r"minutes=\[1\]: must be a number"):
        check_options(compose(["minutes=[1]"]))


def test_a_folder_with_spaces_without_quotes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "game gfx").mkdir()
    with pytest.raises(UserError, match="write 'game gfx'"):
        check_words(["game", "gfx", "minutes=1"])
    (tmp_path / "game").mkdir()
    with pytest.raises(UserError, match="write 'game gfx'"):
        check_words(["game", "gfx", "minutes=1"])


def test_a_folder_of_images_is_data_root() -> None:
    assert check_words(["pics", "data.size=64"]) == ["data.root=pics", "data.size=64"]


def test_our_own_words_pass() -> None:
    ours = ["-m", "data.root=pics", "loss=hinge,san", "penalty=[r1,r2]", "~search", "trainer.max_epochs=-1"]
    ours += ["trainer.devices=2", "seed=1", "logger=[]", "logger=tensorboard", "data.root=a=b"]
    ours += ["+trainer.detect_anomaly=true", "--multirun", "resume=auto", "data.root='my pics'", "penalty=r1,r2"]
    assert check_words(ours) == ours
    check_words(["--cfg", "job"])
    for flag in FLAGS:
        check_words([flag])


def test_groups_and_options_that_exist_are_not_foreign() -> None:
    cfg = compose([])
    assert not [key for key in cfg if key != "hydra" and describe_foreign(str(key))]


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


def test_an_option_of_another_group_is_not_its_own_suggestion() -> None:
    line = message("data.root=tests", "data=folder", "data.num_images=9")
    assert line is not None and line.startswith("data.num_images: no such option; did you mean data.max_images")


def test_faults_of_the_program_are_not_hidden() -> None:
    assert message_of(ValueError("a bug")) is None
    for lost in (ConnectionResetError(104, "Connection reset by peer"), EOFError()):
        assert str(message_of(lost)).startswith("a worker process of the data loader died")
