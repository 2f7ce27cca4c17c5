"""The options of the networks that a run takes from the model of init_from."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from gan.config.compose import compose
from gan.config.init_from import with_networks

CPU = "trainer.accelerator=cpu"


def run_of(folder: Path, *options: str) -> str:
    """Return a run folder with a configuration and the name of a checkpoint."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "images-000000100.ckpt").touch()
    cfg = compose([CPU, *options])
    stored = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("model", "data")}
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))
    return str(folder)


def taken(*words: str) -> dict[str, Any]:
    """Return the added overrides by name."""
    typed = [CPU, *words]
    found = with_networks(typed, compose(typed))
    assert found[len(found) - len(typed) :] == typed
    return dict(word.split("=", 1) for word in found[: len(found) - len(typed)])


def test_size_and_networks_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["data.size=[96,64]", "model.generator.width=24", "model.discriminator.max_multiple=8"]
    start = f"init_from={run_of(tmp_path / 'a', *options, 'model.generator.upsampling=nearest', 'data.channels=1')}"
    found = taken(start)
    assert {"data.size", "model.generator.width", "model.discriminator.max_multiple"} < set(found)
    assert found["data.size"] == "[96,64]" and found["model.generator.width"] == "24"
    assert found["model.generator.upsampling"] == "nearest"
    assert capsys.readouterr().out == f"{start}: as in that model, data.size=[96,64] data.channels=1\n"
    assert found["data.channels"] == "1" and "data.channels" not in taken(start, "data.channels=3")


def test_typed_options_sizes_of_experiments_and_norms_stay(tmp_path: Path) -> None:
    options = ["data.size=32", "model.generator.width=24", "model.discriminator.norm=batch", "penalty=[]"]
    start = f"init_from={run_of(tmp_path / 'a', *options)}"
    assert "data.size" not in taken(start, "data.size=64") and "data.size" in taken(start, "data.root=x", "data=folder")
    found = taken(start, "experiment=vintage_prints", "data.root=x")
    assert "data.size" not in found and "model.generator.width" in found
    assert "model.generator.width" not in taken(start, "model.generator.width=16")
    assert "model.discriminator.norm" not in taken(start)


def test_nothing_is_taken_from_another_class(tmp_path: Path) -> None:
    start = f"init_from={run_of(tmp_path / 'a', 'model=sngan', 'data.size=32', 'model.discriminator.width=8')}"
    assert not any(name.startswith("model.") for name in taken(start))
