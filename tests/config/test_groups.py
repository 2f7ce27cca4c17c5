"""trainer= and debug=: what they set, how they mark a run, and that they go well with images= and minutes=."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from gan.config.compose import check_options, compose
from gan.config.mistakes import message_of
from gan.config.new_run import folder_of
from gan.data.module import ImageDataModule, spread
from gan.utils.errors import UserError
from gan.utils.processes import DDP

DEBUG = ("fast", "overfit", "profile", "limit")


@pytest.mark.parametrize(("trainer", "devices", "strategy"), [("cpu", 1, "auto"), ("ddp_sim", 2, DDP)])
def test_a_trainer_on_the_cpu(trainer: str, devices: int, strategy: str) -> None:
    cfg = compose([f"trainer={trainer}"]).trainer
    assert (cfg.accelerator, cfg.devices, cfg.strategy, cfg.max_epochs) == ("cpu", devices, strategy, -1)


@pytest.mark.parametrize("trainer", ["gpu", "mps", "ddp"])
def test_a_missing_device_is_one_line(trainer: str) -> None:
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Exception) as caught:  # the error passes through OmegaConf
        compose([f"trainer={trainer}"]).trainer.precision  # noqa: B018
    message = message_of(caught.value)
    assert message and "finds none on this machine; use trainer.accelerator=auto or trainer=cpu" in message
    assert "\n" not in message


def test_all_gpus_train_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    for count, strategy in ((1, "auto"), (4, DDP)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        cfg = compose(["trainer=ddp"])
        assert (cfg.trainer.accelerator, cfg.trainer.devices, cfg.trainer.strategy) == ("cuda", -1, strategy)
        assert cfg.images == 3_000_000


@pytest.mark.parametrize("name", DEBUG)
def test_debug_names_its_folder_and_leaves_the_length_to_the_user(name: str) -> None:
    cfg = compose([f"debug={name}", "trainer=cpu"])
    assert 0 < cfg.images <= 32_000 and len(cfg.debug) > 40 and cfg.data.max_images <= 256
    assert compose([f"debug={name}", "minutes=2"]).images is None
    assert compose([f"debug={name}", "images=7", "callback.evaluate.num_images=9"]).images == 7
    assert str(cfg.hydra.runtime.choices.debug) == name
    for mode in ("run", "sweep"):
        assert folder_of(cfg, mode).name.endswith(f"_debug-{name}")
    assert folder_of(compose([f"debug={name}", "hydra.run.dir=a"]), "run") == Path("a")


def test_a_subset_takes_images_of_all_folders(tmp_path: Path) -> None:
    for folder in "abc":
        for number in range(8):
            path = tmp_path / folder / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (16, 16), (ord(folder), number, 0)).save(path)
    data = ImageDataModule(str(tmp_path), size=16, labels=True, max_images=6, batch_size=2)
    data.setup("fit")
    assert len(data) == 6 and data.class_counts().tolist() == [2, 2, 2] and data.class_names() == ["a", "b", "c"]
    assert data.reals(99).shape == (6, 3, 16, 16)
    everything = ImageDataModule(str(tmp_path), size=16, labels=True, max_images=1000, batch_size=2)
    everything.setup("fit")
    assert len(everything) == 24
    items = spread(24, 5)
    assert len(set(items)) == 5 and items == sorted(items) == spread(24, 5)
    with pytest.raises(UserError, match=r"data\.max_images=0"):
        ImageDataModule(str(tmp_path), max_images=0)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("logger=null", "a group is set to null or false; choose none, or [] for a group with several parts"),
        ("metric=[x]", "metric=x: no such metric; choose from fd, kid, precision_recall; for your own, add "
         "--config-dir DIR"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_answered(word: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train.py", word])
    with pytest.raises(Exception) as caught:  # of Hydra
        compose([word])
    assert message_of(caught.value) == message


@pytest.mark.parametrize("word", ["loss=[hinge,minimax]", "augment=[]", "trainer=[]"])
def test_a_list_for_a_group_of_one_part_is_refused(word: str) -> None:
    group = word.partition("=")[0]
    with pytest.raises(UserError, match=f"^{group}: give one name, not a list; choose from "):
        check_options(compose([word]))
