"""Secrets of the environment and of the command line reach no file and no logger."""

import importlib.util
import os
from pathlib import Path

import pytest
import yaml

from gan.config.compose import compose, to_plain
from gan.config.overrides import conceal, hide_in_override
from gan.config.resume import read_overrides
from gan.config.secrets import MISSING, hide
from gan.runs import run_folder
from gan.utils.errors import UserError
from tests.conftest import Train

SECRET = "hf_aVeryLongSecret123"


def test_values_of_secret_variables_become_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("GITHUB_API_KEY_2", SECRET[:12])
    assert hide({"a": [f"x {SECRET} y", 3, None]}) == {"a": ["x ${oc.env:HF_TOKEN} y", 3, None]}
    assert hide(SECRET[:12]) == "${oc.env:GITHUB_API_KEY_2}"
    assert hide_in_override(f"+data.name='{SECRET}'") == "+data.name='${oc.env:HF_TOKEN}'"


def test_other_variables_and_paths_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODEL_NAME", "stylegan2")
    monkeypatch.setenv("SOME_KEY", str(tmp_path))  # a path to a key is no secret
    assert hide(f"stylegan2 {tmp_path}") == f"stylegan2 {tmp_path}"


@pytest.mark.parametrize("name", ["token", "logger.comet.api_key"])
def test_options_that_are_secret_by_name_must_be_typed_again(name: str) -> None:
    assert hide_in_override(f"+{name}=abc") == f"+{name}={MISSING}"
    assert hide({name: "abc"}) == {name: MISSING}


def test_a_secret_leaves_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("RETRO_GAN_API_KEY", "")
    assert conceal(f"data.name='a {SECRET}'") == "data.name='a ${oc.env:HF_TOKEN}'"
    assert conceal("+logger.comet.api_key='typed by hand'") == "+logger.comet.api_key=${oc.env:RETRO_GAN_API_KEY}"
    assert os.environ["RETRO_GAN_API_KEY"] == "typed by hand"
    assert [conceal(word) for word in ("-m", "seed=0,1", "data.token=null")] == ["-m", "seed=0,1", "data.token=null"]


def test_users_and_passwords_leave_addresses() -> None:
    assert hide("at http://me:pass@host:5000/x") == "at http://host:5000/x"
    assert hide("http://host/a@b") == "http://host/a@b"


@pytest.fixture
def cleaned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables that `conceal` sets."""
    for name in ("OPTIONS", "OPTIONS_2", "TRACKING_URI"):
        monkeypatch.setenv(f"RETRO_GAN_{name}", "")


@pytest.mark.usefixtures("cleaned")
def test_secrets_in_containers_leave_the_command_line() -> None:
    value = '{token:dictsecret44,n:[1,{password:"a, b"}],uri:http://me:pw@host/x}'
    hidden = conceal(f"+debug.options={value}")
    assert hidden == "+debug.options='${oc.decode:${oc.env:RETRO_GAN_OPTIONS}}'"
    assert hide_in_override(hidden) == hidden and conceal(hidden) == hidden
    options = compose([hidden.replace("debug.", "")]).options
    assert options == {"token": "dictsecret44", "n": [1, {"password": "a, b"}], "uri": "http://me:pw@host/x"}
    assert conceal("+other.options={token:second99}").endswith("RETRO_GAN_OPTIONS_2}}'")


@pytest.mark.parametrize("value", ["{a:{b:[{api_key:x}]}}", "{uri:'http://me:pw@host'}", "{" * 4000])
def test_containers_with_secrets_are_not_stored(value: str) -> None:
    assert hide_in_override(f"+a.b={value}") == f"+a.b={MISSING}"


def test_other_containers_stay() -> None:
    for word in ("penalty=[r1]", "+a={b:'x, y',c:[1,2.5,null]}", "callback=[]", "data.root=['a b','c']"):
        assert hide_in_override(word) == word == conceal(word)


@pytest.mark.usefixtures("cleaned")
@pytest.mark.parametrize(
    "address", ["http://bob:PW@127.0.0.1:18999", "sqlite:///x?api_key=urlsecret33", "https://h/?a=1&token=xyz"]
)
def test_an_address_with_a_secret_is_used_but_not_stored(address: str) -> None:
    for quote in ("", "'", '"'):
        word = f"logger.mlflow.tracking_uri={quote}{address}{quote}"
        assert conceal(word) == "logger.mlflow.tracking_uri=${oc.env:RETRO_GAN_TRACKING_URI}"
        assert os.environ["RETRO_GAN_TRACKING_URI"] == address
    assert hide(address) in ("http://127.0.0.1:18999", "sqlite:///x?api_key=***", "https://h/?a=1&token=***")
    assert hide(hide(address)) == hide(address)


def test_the_environment_stays_unresolved_in_the_stored_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PLAIN", "words of any kind")
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setenv("COUNT", "32")
    words = ["data=folder", "data.root='${oc.env:FOLDER}/'", "data.background='${oc.env:PLAIN}'"]
    cfg = compose([*words, "logger=[]", "callback=[]", "data.size='${oc.decode:${oc.env:COUNT}}'", "seed=7",
                   "objective='eval/${oc.env:PLAIN}'", "data.resample='${oc.env:NOT_SET,box}'"])  # fmt: skip
    plain = to_plain(cfg)
    assert cfg.data.background == "words of any kind"
    assert plain["data"]["background"] == "${oc.env:PLAIN}" and plain["objective"] == "eval/${oc.env:PLAIN}"
    assert plain["data"]["root"] == f"{tmp_path}/"  # a path that exists: commands read it
    assert (plain["data"]["size"], plain["data"]["resample"], plain["seed"]) == (32, "box", 7)
    assert plain["model"]["generator"]["size"] == [32, 32]


def test_a_resumed_run_asks_for_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    path = tmp_path / run_folder.OVERRIDES
    path.write_text(yaml.safe_dump([hide_in_override(f"data.background={SECRET}")]))
    with pytest.raises(UserError, match="repeat it on the command line"):
        read_overrides(path, [])


def found_in(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


ALL = ["tensorboard", "csv", "wandb", "mlflow"]


@pytest.mark.slow
def test_no_file_of_a_run_has_a_secret(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in ALL if name in ("tensorboard", "csv") or installed(name)]
    monkeypatch.setenv("MY_TOKEN", SECRET)
    monkeypatch.setenv("ANY_NAME", "an_unnamed_secret")
    monkeypatch.setenv("GITHUBTOKEN", "unseparated_secret")
    options = [f"logger=[{','.join(names)}]", "+debug.words=unseparated_secret", "+debug.more={token:dictsecret44}"]
    options += ["+debug.debug_notes='${oc.env:ANY_NAME}'", f"+debug.notes={SECRET}", "+debug.api_key=typed_by_hand_123"]
    options += ["+debug.uri='sqlite:///x?api_key=urlsecret33'"]
    unwanted = ("dictsecret44", "urlsecret33", "unseparated_secret")
    train("images=16", "hydra.run.dir=runs/a", *options, *(["logger.wandb.mode=offline"] if "wandb" in names else []))
    for text in (SECRET, "an_unnamed_secret", "typed_by_hand_123", *unwanted):
        assert found_in(tmp_path, text) == []
    stored = yaml.safe_load((tmp_path / "runs/a/config.yaml").read_text())["debug"]
    assert (stored["notes"], stored["debug_notes"], stored["api_key"]) == (
        "${oc.env:MY_TOKEN}", "${oc.env:ANY_NAME}", "${oc.env:RETRO_GAN_API_KEY}",
    )  # fmt: skip


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
