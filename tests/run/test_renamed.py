"""Old names of options give errors with the new names."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import yaml
from hydra.errors import HydraException

from gan.common.errors import UserError
from gan.common.nested import flatten
from gan.run.config import compose, options, to_plain
from gan.run.launch import message_of
from gan.run.paths import CONF
from gan.run.renamed import RENAMED, describe_renamed, new_names
from gan.run.resume import prepare

MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml"))


@functools.cache
def existing() -> set[str]:
    """Return all options of the recipes, and all GROUP=FILE."""
    penalties = ",".join(sorted(path.stem for path in (CONF / "penalty").glob("*.yaml")))
    choices = [[f"model={model}", f"penalty=[{penalties}]"] for model in MODELS]
    choices += [[f"data={data}"] for data in DATA]
    choices += [[f"augment={path.stem}"] for path in (CONF / "augment").glob("*.yaml")]
    found = {f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml")}
    for groups in choices:
        for key in options(groups):
            parts = key.split(".")
            found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return found


@pytest.mark.slow
def test_every_new_name_exists_and_no_old_one() -> None:
    known = existing()
    for old in RENAMED:
        names = new_names(old)
        assert names and old not in known, old
        network = old.split(".")[:2] in (["model", "generator"], ["model", "discriminator"])
        deeper = [name.replace(".", ".a2b.", 2).replace(".a2b.", ".", 1) for name in names]
        for name, in_both_directions in zip(names, deeper, strict=True):
            assert name in known or (network and in_both_directions in known), f"{old} -> {name}"


@pytest.mark.slow
@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_answered_with_the_new_one(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group, _, file = old.partition("=")
    typed = [f"{group}=[{file}]" if group in ("penalty", "metric", "callback") else old] if file else [f"{old}=1"]
    monkeypatch.setattr("sys.argv", ["train.py", *typed])
    with pytest.raises((HydraException, UserError)) as caught:
        compose(typed)
    message = message_of(caught.value)
    assert message is not None and message.startswith(f"{old}: renamed to ")
    assert any(name in message for name in new_names(old))


def test_networks_of_one_direction_and_renamed_parents() -> None:
    assert new_names("model.generator.a2b.latent") == ["model.generator.a2b.latent_dim"]
    assert new_names("model.generator.there.most") == ["model.generator.a2b.max_channels"]
    assert new_names("model.generator.width") == new_names("data.size") == []


def test_the_model_decides_between_several_new_names(monkeypatch: pytest.MonkeyPatch) -> None:
    old = "model.generator.x"
    monkeypatch.setitem(RENAMED, old, ("model.generator.y", "model.generator.z"))
    assert describe_renamed(old) == f"{old}: renamed to model.generator.y or model.generator.z"
    assert describe_renamed(old, known=["model.generator.z"]) == f"{old}: renamed to model.generator.z"


def old_run(run: Path, overrides: list[str], config: dict[str, object]) -> None:
    run.mkdir()
    (run / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "environment.jsonl").touch()


def test_a_run_of_an_older_version_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = to_plain(compose(["logger=[]", "callback=[]"]))
    old_run(tmp_path / "typed", ["data.workers=2", "seed=1"], config)
    with pytest.raises(UserError) as caught:
        prepare(["resume=typed"])
    assert str(caught.value) == (
        "typed/overrides.yaml: data.workers: renamed to data.num_workers; an older version has written this run; "
        "install that version, or train again"
    )
    config["model"]["log_every"] = config["model"].pop("log_interval")
    old_run(tmp_path / "stored", ["seed=0"], config)
    assert "model.log_every" in flatten(config)
    with pytest.raises(UserError, match=r"^stored/config.yaml: model.log_every: renamed to model.log_interval; an"):
        prepare(["resume=stored"])
    with pytest.raises(UserError, match="log_every: renamed"):
        (tmp_path / "stored" / "checkpoints").mkdir()
        (tmp_path / "stored" / "checkpoints" / "images-000000100.ckpt").touch()
        prepare(["resume=auto", "hydra.run.dir=stored"])
