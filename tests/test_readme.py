"""Every command in the README works, with tiny settings in place of real ones; so do its Python and its notebook."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import gan
from gan.run.config import compose
from tests.conftest import ROOT, TINY, Train, command
from tests.recipes import TINY as RECIPES

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.S)
COMMANDS = [
    line
    for kind, block in BLOCKS
    if not kind
    for line in block.splitlines()
    if re.match(r"(python|gan |torchrun|srun|tensorboard)", line)
]
TRANSLATION = "data=unpaired", "data=paired", "data=retro_filter"
ADDED = "model=enlarging loss=exponential augment=mirror"  # parts that the README shows how to write
TRAIN = [
    line
    for line in COMMANDS
    if line.startswith("python train.py")
    and not any(word in line for word in ("-m ", "resume", "data=stream", *TRANSLATION, ADDED))
]
TRANSLATE = [line for line in COMMANDS if any(word in line for word in TRANSLATION)]


def test_two_commands_stand_at_the_top() -> None:
    first, second = (line for line in COMMANDS if line.startswith("python3"))
    assert first.endswith(".venv/bin/pip install -e . && .venv/bin/python train.py")
    assert second.endswith(".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest")
    assert README.index(first) < README.index(second) < README.index("\n## ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index in range(12):
        path = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (20 * index, 0, 0)).save(path)
    return tmp_path / "images"


@pytest.mark.parametrize("line", TRAIN)
def test_training_commands(line: str, train: Train, gan_command: Train, folder: Path) -> None:
    words = shlex.split(line.replace("PATH", str(folder)))[2:]
    small = [option for option in TINY if not ("size" in option and "size" in line) and "data.num_images" not in option]
    small += [] if "data.root" in line else ["data.num_images=24"]
    train(*words, *(option for option in small if option.split("=")[0] not in line), "images=8", tiny=False)
    if "runs/kinds" in line:
        (draw,) = (line for line in COMMANDS if "--class" in line)
        gan_command(*shlex.split(draw.replace("NAME", "a"))[1:])
        for recognize in (line for line in COMMANDS if line.startswith("gan recognize") or "CLASS" in line):
            typed = recognize.replace("NAME", "kinds").replace("PATH", str(folder)).replace("CLASS", "a")
            gan_command(*shlex.split(typed)[1:])


@pytest.mark.parametrize("line", TRANSLATE)
def test_translators(line: str, train: Train, gan_command: Train, folder: Path, tmp_path: Path) -> None:
    words = shlex.split(line.replace("PATH", str(folder)))[2:]
    recipe = words[0].removeprefix("model=")
    few = ["data.split=file", "data.validation=0.4", "data.size=32", "images=8", "callback=[samples,checkpoint]"]
    train(*words, *RECIPES[recipe], *few, tiny=False)
    if "runs/film" not in line:
        return
    for use in (line for line in COMMANDS if line.startswith("gan") and "runs/film" in line):
        gan_command(*shlex.split(use.replace("PATH", str(folder)))[1:])
    assert len(list((tmp_path / "out").rglob("*.png"))) == len(list((tmp_path / "sheets").rglob("*.png"))) == 12


def test_resume_generate_and_python(
    train: Train, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("images=16", "hydra.run.dir=runs/NAME")
    resumes = [line for line in COMMANDS if "resume=runs/NAME" in line]
    assert len(resumes) == 2
    train(*shlex.split(resumes[0])[2:], tiny=False)
    train(*shlex.split(resumes[1].replace("300000", "24"))[2:], tiny=False)
    draws = ("gan generate", "gan interpolate", "gan directions", "gan edit", "gan project")
    for line in (line for line in COMMANDS if line.startswith(draws) and "class" not in line.lower()):
        quick = ["--starts", "2", "--steps", "10"] if "project" in line else []
        gan_command(*shlex.split(line.replace("PATH", "images"))[1:], *quick)
    assert (tmp_path / "way.gif").exists() and len(list((tmp_path / "edited").iterdir())) == 16
    for made in ("brighter", "moved", "mixed", "wide"):
        assert len(list((tmp_path / made).iterdir())) == 16
    assert len(list((tmp_path / "faded").iterdir())) == 18
    assert len(list((tmp_path / "images").iterdir())) == 18
    shutil.copytree(tmp_path / "runs" / "NAME", tmp_path / "runs" / "OTHER")
    for line in (line for line in COMMANDS if line.startswith(("gan evaluate", "gan compare")) and "film" not in line):
        words = shlex.split(line.replace("FOLDER", "images").replace("PATH", "images"))[1:]
        gan_command(*words, *["--images", "12"] * ("evaluate" in line))
    assert (tmp_path / "copies.png").exists() and (tmp_path / "curves.png").exists()
    monkeypatch.chdir(tmp_path)
    (python,) = (block for kind, block in BLOCKS if kind == "python" and "gan.load" in block)
    scope: dict[str, object] = {}
    exec(python, scope)
    assert scope["images"].shape == (16, 3, 16, 16)  # type: ignore[attr-defined]


def test_the_way_from_a_messy_folder(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    (line,) = (line for line in COMMANDS if line.startswith("gan data check"))
    said = gan_command(*shlex.split(line.replace("PATH", str(folder)))[1:]).stdout
    assert said.rstrip().splitlines()[-1].startswith("python train.py data=folder data.root=")
    assert (tmp_path / "sheet.png").exists()
    for words in re.findall(r"`gan (data cache .*?)`", README):
        gan_command(*words.split())


def test_packing_and_streaming(folder: Path, gan_command: Train, train: Train) -> None:
    (pack,) = (line for line in COMMANDS if line.startswith("gan data pack"))
    gan_command(*shlex.split(pack.replace("PATH", str(folder)))[1:])
    (stream,) = (line for line in COMMANDS if "data=stream" in line)
    small = [option for option in TINY if not option.startswith(("data.size", "data.num_images", "data.split"))]
    train(*shlex.split(stream)[2:], *small, "images=8", tiny=False)


def test_other_data_compose() -> None:
    for words in re.findall(r"`(data=(?:cifar10|fashion_mnist|huggingface).*?)`", README):
        compose(words.split())


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in COMMANDS
        if " -m " in line and line.startswith("python train.py") and "optuna" not in line and "submitit" not in line
    ],
)
def test_sweeps(line: str, train: Train, tmp_path: Path) -> None:
    words = [word for word in shlex.split(line)[2:] if word != "-m"]
    train("-m", *words, "images=4")
    (sweep,) = (tmp_path / "runs").iterdir()
    assert len([path for path in sweep.iterdir() if path.is_dir()]) == 4


def test_the_other_machines_commands_compose() -> None:
    for line in (line for line in COMMANDS if line.startswith(("torchrun", "srun"))):
        words = shlex.split(line)
        compose(words[words.index("train.py") + 1 :])


def test_torchrun_gives_one_run(tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", str(ROOT / "train.py"), *TINY]
    command([*words, "images=8", "trainer.devices=2", "hydra.run.dir=runs/big", "resume=auto"], tmp_path)
    assert len((tmp_path / "runs" / "big" / "environment.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "runs" / "big" / "checkpoints" / "images-000000008.ckpt").exists()


def test_tensorboard_starts() -> None:
    pytest.importorskip("tensorboard")
    assert "tensorboard --logdir runs" in COMMANDS
    words = [sys.executable, "-m", "tensorboard.main", "--version"]
    assert subprocess.run(words, capture_output=True, timeout=120).returncode == 0


def test_adding_parts_takes_the_files_shown(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "gan", tmp_path / "gan")
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / "train.py", tmp_path)
    section = README[README.index("## Add a loss") : README.index("## Layout")]
    for path, text in zip(
        re.findall(r"`((?:gan|conf)/\w+/\w+\.(?:py|yaml))`", section),
        re.findall(r"```(?:python|yaml)\n(.*?)```", section, re.S),
        strict=True,
    ):
        (tmp_path / path).write_text(text)
    (line,) = (line for line in COMMANDS if line.endswith(ADDED))
    small = [option for option in TINY if "detail" not in option]
    command([*shlex.split(line)[1:], *small, "images=8", "hydra.run.dir=run"], tmp_path)
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert all(name in config for name in ("enlarging", "exponential", "mirror"))


@pytest.mark.parametrize(("name", "drawn"), [("quickstart", "drawn"), ("latent_space", "faded")])
def test_notebooks_run(name: str, drawn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = name.partition("_")[0].upper()
    options = [option for option in TINY if not option.startswith("data.split")]
    monkeypatch.setenv(f"{prefix}_RUN", str(tmp_path / "run"))
    monkeypatch.setenv(f"{prefix}_OPTIONS", " ".join([*options, "data.split=file", "data.num_images=40", "images=32"]))
    monkeypatch.setenv(f"{prefix}_STEPS", "10")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    assert (tmp_path / "run" / f"{drawn}.png").exists()


def test_pictures_are_small() -> None:
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).stat().st_size < 300_000


def test_it_imports_gan_lazily() -> None:
    assert gan.__all__ == ["load"]
