"""Overrides are changed and read from a run folder. tests/security has hostile run folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gan.config.compose import compose
from gan.config.resume import read_overrides, with_new_length
from gan.utils.errors import UserError


def test_images_and_minutes_replace_each_other() -> None:
    assert with_new_length(["images=9"]) == ["images=9", "minutes=null"]
    assert with_new_length(["seed=1", "minutes=2"]) == ["seed=1", "minutes=2", "images=null"]
    for as_typed in (["seed=1"], ["images=9", "minutes=2"], ["images=null", "minutes=2"]):
        assert with_new_length(as_typed) == as_typed
    cfg = compose(["experiment=quick", "data.root=PATH", *with_new_length(["images=16"])])
    assert cfg.images == 16 and cfg.minutes is None


def write(folder: Path, *words: str) -> Path:
    path = folder / "overrides.yaml"
    path.write_text(yaml.safe_dump(list(words)))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["model=dcgan", "seed=1", "images=8"],
        ["model=r3gan", "penalty=[r1,r2]", "penalty.r1.weight=3", "loss=hinge", "augment=none"],
        ["data=folder", "data.root='/some where/it\\'s'", "data.size=[96,64]", "data.labels=true"],
        ["data=retro_filter", "data.root=[a,b]", "data.style=1977", "model=cyclegan"],
        ["experiment=quick", "callback=[progress,samples,checkpoint]", "callback.samples.interval=9", "logger=[]"],
        ["callback.evaluate.extractors=[random_conv,lite0]", "trainer.devices=2", "data.classes=[sprite,neon]"],
    ],
)
def test_options_with_plain_values_are_replayed(words: list[str], tmp_path: Path) -> None:
    assert read_overrides(write(tmp_path, *words), typed=[]) == words


def test_what_is_read_from_the_disk_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read_overrides(write(tmp_path, "data=folder", "data.root=/elsewhere", "init_from=/run"), typed=["init_from=/mine"])
    assert capsys.readouterr().out == f"{tmp_path}: reads data.root=/elsewhere\n"


def test_classes_that_are_typed_again_are_replayed(tmp_path: Path) -> None:
    words = ["model.generator_optimizer._target_=torch.optim.AdamW", "seed=1"]
    with pytest.raises(UserError, match="is refused: a run folder may not name classes; if you trust it, repeat it"):
        read_overrides(write(tmp_path, *words), typed=[])
    assert read_overrides(write(tmp_path, *words), typed=words[:1]) == words
