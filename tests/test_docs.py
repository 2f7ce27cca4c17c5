"""Every command, file, option and link in README and docs/ works with tiny settings instead of real ones."""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import yaml
from nbclient import NotebookClient
from PIL import Image

from gan.cli import COMMANDS
from gan.config.compose import compose
from gan.looks.registry import STYLES
from gan.networks.resnet_translator import Generator
from tests.conftest import ROOT, TINY, Train, command
from tests.models import published_files
from tests.pages import PAGES, blocks, commands, exists, files, flags, links, sections, spans
from tests.patience import PATIENCE
from tests.recipes import TINY as RECIPES
from tests.recipes import TRANSLATORS

slow = pytest.mark.slow
ATTRIBUTES = ("brightness", "contrast", "saturation", "warmth", "sharpness", "zoom", "shift_", "sefa", "pca", "NAME")
PLACES = {"PATH": "collection", "FOLDER": "collection", "PHOTOGRAPHS": "photographs", "RETRO": "retro", "CLASS": "a",
          "IMAGE": "collection/a/0.png"}  # fmt: skip
PUBLISHED = {  # files that other programs write
    "network-snapshot.pkl": lambda path: published_files.write_ada(path, *published_files.styled()),
    "latest_net_G.pth": lambda path: torch.save(published_files.resnet(Generator(width=4, n_blocks=1)), path),
}
PATCHED = ("translate", "zoo")  # commands that use the patches of a page
NOT_OF_COMMANDS = {"--help", "--help-all", "--cfg", "--version", "--print-completion"}
NOT_OF_COMMANDS |= {"--eval"}  # of the authors' test.py of pix2pix
MAX_LINES = 40  # of the output of a cell of a notebook; a table of scores has 7 to 9
ELSEWHERE = ("data=cifar10", "data=fashion_mnist", "data=huggingface", "search=optuna", "hydra/launcher")  # composed
ELSEWHERE += ("logger=wandb", "remote=", "model.discriminator.backbone=")  # the last one from the Hub


def placed(line: str) -> list[str]:
    """Return the words of a command, with PATH and similar placeholders replaced by folders of the test."""
    return shlex.split(re.sub(r"\b[A-Z]{4,}\b", lambda found: PLACES.get(found[0], found[0]), line))


TRAIN = (["python", "train.py"], ["gan", "train"])
KNOWN = {
    shlex.join(placed(line))
    for line in commands(PAGES[0])
    if line.startswith(("python train.py", "gan train")) and "hydra.run.dir" not in line
}
with_pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def images(folder: Path, side: int = 40) -> Path:
    """12 images in the sub-folders a and b."""
    for index in range(12):
        path = folder / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (20 * index, 0, 0)).save(path)
    return folder


@functools.cache
def added(page: Path) -> set[str]:
    """Return overrides that select the parts which files on the page add, such as loss=exponential."""
    paths = map(Path, files(page))
    return {f"{path.parent.name}={path.stem}" for path in paths if path.parts[0] == "conf"}


def tiny(words: list[str]) -> list[str]:
    """Return tiny settings for the options of a training command."""
    chosen = dict(word.partition("=")[::2] for word in words)
    recipe = chosen.get("model", "dcgan")
    if recipe in TRANSLATORS:
        small = [*RECIPES[recipe], "data.split=file", "data.validation=0.4", "data.size=32"]
        small += ["callback=[samples,checkpoint]"]
    else:
        small = [option for option in TINY if not option.startswith("model.") or recipe == "dcgan"]
        small += (
            [] if recipe == "dcgan" else RECIPES.get(recipe, ["model.generator.width=4", "model.discriminator.width=4"])
        )
    if "data.root" in chosen or chosen.get("data", "retro") != "retro":
        small = [option for option in small if not option.startswith("data.num_images")]
    if chosen.get("data") == "stream":
        small = [option for option in small if not option.startswith(("data.size", "data.split"))]
    mine = [word for word in words if word.split("=")[0] not in ("images", "minutes", "data.size")]
    return [
        *mine,
        *(option for option in small if option.split("=")[0] not in dict.fromkeys(w.split("=")[0] for w in mine)),
    ]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a tiny run that pages assume: of images, of two classes, or a translator. Each is trained once."""
    photographs = images(tmp_path_factory.mktemp("trained") / "images")
    kinds = {
        "NAME": [],
        "classes": ["data=folder", f"data.root={photographs}", "data.labels=true"],
        "film": ["model=cyclegan", "data=unpaired", f"data.a={photographs}", f"data.b={photographs}"],
    }

    @functools.cache
    def run(name: str) -> Path:
        folder = tmp_path_factory.mktemp("run")
        words = [*tiny(kinds[name]), "images=16", "hydra.run.dir=run"]
        command([str(ROOT / "train.py"), *words], folder)
        return folder / "run"

    return run


@with_pages
def test_commands(page: Path, trained: Callable[[str], Path], train: Train, gan_command: Train, tmp_path: Path) -> None:
    for name in ("collection", "photographs", "retro"):
        images(tmp_path / name)
    for line in commands(page):
        words = placed(line)
        if skipped(page, words):
            continue
        prepare(words, trained, tmp_path)
        if words[:2] in TRAIN:
            train_as_shown(words[2:], train)
        elif words[0] == "gan":
            gan_as_shown(words[1:], gan_command, tmp_path)
        elif words[0] in ("torchrun", "srun"):
            compose(words[words.index("train.py" if "train.py" in words else "train") + 1 :])
        else:
            assert words == ["tensorboard", "--logdir", "runs"]


def skipped(page: Path, words: list[str]) -> bool:
    """Return whether a command is tested elsewhere: installation, added parts, the demo, and training in README."""
    if words[:2] == ["gan", "demo"]:  # it runs until Ctrl-C
        return True
    if any("s3://" in word for word in words) and words[:2] not in TRAIN:  # tests/test_remote.py
        return True
    own = added(page) & set(words) or "runs/own" in words or "--code" in words
    known = page != PAGES[0] and shlex.join(words) in KNOWN
    return (
        bool(own)
        or known
        or words[0] in ("pip", "python3", ".venv/bin/pip")
        or words[1].startswith("tests/")
        or (bool(blocks(page, "diff")) and words[1] in PATCHED)
    )


def prepare(words: list[str], trained: Callable[[str], Path], folder: Path) -> None:
    """Provide the runs and files that a command reads, and remove the run that it writes."""
    for word in words:
        if word in PUBLISHED:
            PUBLISHED[word](folder / word)
        found = re.fullmatch(r"(resume=|init_from=|hydra\.run\.dir=|)runs/(\w+)", word)
        if found is None:
            continue
        run = folder / "runs" / found[2]
        if found[1] == "hydra.run.dir=":
            shutil.rmtree(run, ignore_errors=True)
        elif not run.exists():
            shutil.copytree(trained(found[2] if found[2] in ("film", "classes") else "NAME"), run)


def train_as_shown(words: list[str], train: Train) -> None:
    sweep = "-m" in words
    words = [word for word in words if word != "-m"]
    if any(word.startswith(ELSEWHERE) for word in words):
        compose(
            [word for word in words if not word.startswith(("hydra", "search")) and ("," not in word or "[" in word)]
        )
    elif any(re.match("resume=runs/", word) for word in words):
        short = {"images=300000": "images=24", "minutes=+10": "minutes=+0.05"}
        train(*(short.get(word, word) for word in words), tiny=False)
    else:
        compose([word.split(",")[0] if sweep else word for word in words])  # to the letter
        train(*["-m"] * sweep, *tiny(words), "images=8", tiny=False)


def gan_as_shown(words: list[str], gan_command: Train, folder: Path) -> None:
    if "--out" in words:
        out = folder / words[words.index("--out") + 1]
        shutil.rmtree(out, ignore_errors=True)
    words = ["8" if word == "256" else word for word in words]
    few = {"project": ["--starts", "2", "--steps", "10"], "evaluate": ["--images", "12"]}
    few["score"] = few["evaluate"]
    first, second = [*words, ""][:2]
    more = [] if "film" in second else few.get(first, few.get(second, []))
    more = ["--seeds", "0-31"] if "--like" in words else more
    gan_command(*words, *more)
    if "--out" in words:
        assert out.exists()
    seeds = re.search(r"--seeds 0-(\d+) --out", " ".join(words))
    if seeds and words[0] in ("generate", "edit"):
        assert len(list(out.glob("[0-9]*.png"))) == int(seeds[1]) + 1
    if words[0] == "translate":
        output = words[-1] if words[1].startswith("--") else words[3]
        assert len(list((folder / output).rglob("*.png"))) == 12


@slow
@pytest.mark.parametrize("page", [page for page in PAGES if files(page)], ids=lambda page: page.stem)
def test_added_parts_work_with_the_files_shown(page: Path, tmp_path: Path) -> None:
    for name in ("gan", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "train.py", tmp_path)
    for path, text in files(page).items():
        assert not (tmp_path / path).exists()
        (tmp_path / path).write_text(text)
    assert len(files(page)) == 2 * len(added(page))
    chosen = set()
    use = []
    for line in commands(page):
        words = shlex.split(line)
        if words[:2] in TRAIN and "--code" not in words and added(page) & set(words):
            chosen |= added(page) & set(words)
            command(
                ["train.py", *tiny(words[2:]), *(["hydra.run.dir=run"] if "hydra" not in line else []), "images=8"],
                tmp_path,
            )
        elif "runs/own" in words:
            quick = {"project": ["--starts", "2", "--steps", "10"], "evaluate": ["--images", "12"]}
            use.append([*words[1:], *quick.get(words[1], [])])
    assert chosen == added(page)
    if use:
        code = f"from gan.cli import main\nfor words in {use!r}:\n    assert main(words) == 0, words"
        command(["-c", code], tmp_path)


@slow
def test_patches_of_looks_and_options_work(tmp_path: Path) -> None:
    page = ROOT / "docs" / "extending.md"
    for name in ("gan", "conf"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for patch in blocks(page, "diff"):
        subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=tmp_path, check=True)
    images(tmp_path / "photographs")
    Image.new("RGB", (40, 30), "white").save(tmp_path / "photo.jpg")
    use = [words[1:] for words in map(shlex.split, commands(page)) if words[1] in PATCHED]
    code = f"from gan.cli import main\nfor words in {use!r}:\n    assert main(words) == 0, words"
    command(["-c", code], tmp_path)
    assert np.asarray(Image.open(tmp_path / "dusk.png"))[15, 20].argmax() == 2  # blue
    assert len(list((tmp_path / "film").rglob("*.png"))) == 2


@slow
def test_the_added_parts_work_in_folders_of_the_user(tmp_path: Path) -> None:
    """The folders and commands of "Your own folders" in docs/extending.md, with the parts that the page shows."""
    page = ROOT / "docs" / "extending.md"
    for name, text in files(page).items():
        path = Path(name)
        own = Path("my_code", path.name) if path.suffix == ".py" else Path("my_conf", *path.parts[1:])
        (tmp_path / own).parent.mkdir(parents=True, exist_ok=True)
        added_here = {Path(each).stem for each in files(page) if each.endswith(".py")}
        for module in added_here:
            text = re.sub(rf"gan\.[\w.]+\.{module}\.", f"{module}.", text)
        (tmp_path / own).write_text(text)
    shown = [shlex.split(line) for line in commands(page) if "--code" in line]
    assert [words[1] for words in shown] == ["train", "train", "generate"]
    for words in shown:
        if "--config-dir" in words and not any(word.startswith("resume=") for word in words):
            words = ["gan", "train", *words[2:6], *tiny(words[6:]), "images=8"]
        words = ["images=16" if word.startswith("images=3") else word for word in words]
        command(["-m", "gan", *words[1:]], tmp_path)
    assert (tmp_path / "generated" / "3.png").is_file()


@slow
@with_pages
def test_python(page: Path, trained: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in blocks(page, "python"):
        if "gan.load" in code:
            for run in re.findall(r'"(runs/\w+)"', code):
                shutil.copytree(trained("NAME"), tmp_path / run, dirs_exist_ok=True)
            monkeypatch.chdir(tmp_path)
            exec(code, {})


@with_pages
def test_options_and_flags_exist(page: Path) -> None:
    for span in spans(page):
        words = span.split()
        if all(re.fullmatch(r"[\w./]+=[^=]+", word) for word in words):
            known = (*ATTRIBUTES, *added(page))
            wrong = [word for word in words if not word.startswith(known) and not exists(word)]
            assert not wrong, f"{page.name}: {span}"
        others = "pip install" in span or span.startswith("git ")
        for flag in [] if others else re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", span):
            assert flag in flags() | NOT_OF_COMMANDS, f"{page.name}: {span}"
        if span.startswith("gan "):
            assert words[1] in COMMANDS or words[1].isupper() or words[1].startswith("-"), f"{page.name}: {span}"


@with_pages
def test_links_and_extras_exist(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in sections(target), link
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"(?:\.|retro-gan)\[(\w+)\]'", page.read_text())) <= set(extras)
    if page.stem == "index":
        table = page.read_text().partition("| extra |")[2].partition("\n\n")[0]
        rows = re.findall(r"^\| (`.*?) \|", table, re.M)
        assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(extras)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.stem)
def test_files_exist(page: Path) -> None:
    shown = {file for shows in PAGES for file in files(shows)}  # which a reader adds
    lines = [*spans(page), *commands(page)]
    paths = {path for line in lines for path in re.findall(r"(?<![\w/.-])(?:gan|conf|tests|docs|\.ci)/[\w./-]+", line)}
    assert not [path for path in paths - shown if not (ROOT / path).exists()]


def test_benchmarks_begin_with_ten_figures_of_their_sections() -> None:
    page = ROOT / "docs" / "benchmarks.md"
    assert len(page.read_text().splitlines()) <= 400
    number = re.compile(r"\d+(?:[.,]\d+)*(?:e-\d+)?")
    rows = re.findall(r"^\| .* \| (.*) \| .* \| \[.*\]\((.*)#(.*)\) \|$", sections(page)["benchmarks"], re.M)
    assert len(rows) == 10
    for figure, path, anchor in rows:
        text = sections(page.parent / path if path else page)[anchor]
        assert set(number.findall(figure)) <= set(number.findall(text)), figure


def test_programs_of_benchmarks_import_what_exists() -> None:
    for path in (ROOT / "tests" / "benchmarks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "gan":
                exec(ast.unparse(node), {})  # raises ImportError


def test_readme_tells_what_experiments_set() -> None:
    options = {name: compose([f"experiment={name}"]) for name in ("quick", "few_shot", "vintage_prints", "pixel_art")}
    quick, few = options["quick"], options["few_shot"]
    assert quick.minutes == 2.5 and quick.data._target_ == compose([]).data._target_
    assert quick.init_from == few.init_from == "zoo:start64"
    assert options["vintage_prints"].data.size == [96, 64]
    assert (options["pixel_art"].data.size, options["pixel_art"].data.channels) == (32, 4)
    text = PAGES[0].read_text()
    for claim in ("trains for 2.5 minutes on built-in images", "`vintage_prints` trains at 96x64 pixels",
                  "`pixel_art` trains at 32 pixels with\ntransparency", "another loss"):  # fmt: skip
        assert claim in text
    default, dcgan, lsgan = compose([]), compose(["model=dcgan"]), compose(["model=lsgan"])
    assert default.model == dcgan.model
    assert dcgan.model.loss != lsgan.model.loss
    assert dcgan.model.generator == lsgan.model.generator


def test_readme_lists_the_packages_and_counts() -> None:
    layout = PAGES[0].read_text().partition("\n## Layout")[2]
    packages = {path.parent.name for path in (ROOT / "gan").glob("*/__init__.py")}
    assert set(re.findall(r"(\w+)/", "\n".join(re.findall(r"^  \w+/.*$", layout, re.M)))) == packages
    assert f"One photograph in {len(STYLES)} looks" in PAGES[0].read_text()
    assert len(list((ROOT / "notebooks").glob("*.ipynb"))) == 2 and "two notebooks" in layout
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"Python {python.removeprefix('>=')} or newer" in PAGES[0].read_text()


def test_every_recipe_is_listed() -> None:
    text = PAGES[0].read_text()
    table = text[text.index("\n## Recipes") : text.index("\n## Resume")]
    rows = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert rows == {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_sbatch_passes_its_options_on(tmp_path: Path) -> None:
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\nfor word; do echo $word; done\n")
    srun.chmod(0o755)
    variables = {"SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "4", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["bash", ROOT / "docs" / "cluster" / "slurm.sbatch", "data.root=a b"]
    run = subprocess.run(words, env=variables, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "python", "train.py", "trainer.num_nodes=2", "trainer.devices=4", "hydra.run.dir=runs/big", "resume=auto",
        "data.root=a b",
    ]  # fmt: skip


@slow
def test_torchrun_gives_one_run(tmp_path: Path) -> None:
    words = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "gan", "train", *TINY]
    command([*words, "images=8", "trainer.devices=2", "hydra.run.dir=runs/big", "resume=auto"], tmp_path)
    assert len((tmp_path / "runs" / "big" / "environment.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "runs" / "big" / "checkpoints" / "images-000000008.ckpt").exists()


def shortened(name: str, changes: dict[str, str]) -> nbformat.NotebookNode:
    """Return a notebook in which texts of cells are replaced, each of which is in one cell."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert any(cell.get("outputs") for cell in notebook.cells)  # which the site shows
    for text, short in changes.items():
        (cell,) = (cell for cell in notebook.cells if text in cell.source)
        cell.source = cell.source.replace(text, short)
    return notebook


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    notebook = NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(ROOT)}}).execute()
    for cell in notebook.cells:
        assert sum(str(output.get("text", "")).count("\n") for output in cell.get("outputs", [])) < MAX_LINES
    return notebook


@slow
def test_the_first_hour_runs(tmp_path: Path) -> None:
    options = dict(option.split("=", 1) for option in (*TINY, "data.split=file", "data.num_images=40"))
    values = {name: yaml.safe_load(value) for name, value in options.items()}
    quick = 'experiment="quick",\n    minutes=None,\n    images=100_000,'
    short = {
        'Path("first-hour")': f"Path({str(tmp_path)!r})",
        quick: f"images=32, options={values!r},",
        "range(200)": "range(20)",
    }
    executed(shortened("first_hour", short))
    with Image.open(tmp_path / "neon.gif") as animation:
        assert animation.is_animated


@slow
def test_the_latent_space_runs(trained: Callable[[str], Path]) -> None:
    short = {'gan.load("zoo:retro64")': f"gan.load({str(trained('NAME'))!r})", "steps=200": "steps=10"}
    notebook = executed(shortened("latent_space", short))
    images = [out for cell in notebook.cells for out in cell.get("outputs", []) if "image/png" in out.get("data", {})]
    assert len(images) == 7


@slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo")
    pytest.importorskip("myst_nb")
    source = shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "api", "site", "tests"))
    sphinx = "import gc, sys; from sphinx.cmd.build import main; gc.disable(); sys.exit(main(sys.argv[1:]))"  # faster
    words = [sys.executable, "-c", sphinx, "-W", "-q", str(source / "docs"), str(tmp_path / "site")]
    built = subprocess.run(words, capture_output=True, text=True, cwd=source, timeout=PATIENCE)
    assert built.returncode == 0, built.stderr
    for page in PAGES[1:]:
        assert (tmp_path / "site" / f"{page.stem}.html").exists()
