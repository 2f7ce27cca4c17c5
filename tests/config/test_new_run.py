"""Mistakes are found before torch is imported, in one line, and leave no folder behind."""

import json
from pathlib import Path

import pytest
import yaml
from hydra.errors import HydraException
from PIL import Image

from gan.config.compose import compose, literals, to_plain, unresolved
from gan.config.launch import words_of_start
from gan.config.mistakes import message_of
from gan.config.new_run import check
from gan.config.overrides import stored
from gan.runs import lock
from gan.runs.run_folder import RECORD
from gan.utils.errors import UserError
from tests.conftest import run_python
from tests.runs.test_run_folder import save

MISTAKES = [
    (["data=folder"], "data.root is missing; add data.root=FOLDER"),
    (["data.root=pisc"], "data.root=pisc: there is no such folder or zip archive; did you mean pics?"),
    (["data.root=pics,other"], "To use it as a list, use key=[value1,value2]"),
    (["data.a=pics"], "data.a: is an option of models that translate"),
    (["model=cyclegan", "data=unpaired"], "data.a and data.b are missing"),
    (["data.root=runs/whole"], "runs/whole: is the folder of a run; give a folder of images"),
    (["seed=99999999999999999999"], "seed=99999999999999999999: is out of range: the largest number is"),
    (["data.batch_size=10000000000"], "data.batch_size=10000000000: is out of range"),
    (["model=stylegan2", "data.size=48", "data.sise=3"], "did you mean data.size"),
    (["resume=runs/frist"], "did you mean runs/first?"),
    (["init_from=prints46"], "no such run folder, checkpoint or shared model; did you mean zoo:prints64?"),
    (["init_from="], "init_from=: give a run, checkpoint or shared model, or null to train from scratch"),
    (["freeze.generator=2"], "freeze.generator=2: has an effect only with init_from=RUN"),
    (["-m", "data.root=nowhere,pics"], "nowhere: there is no such folder"),
    (["model=lut", "data=retro_filter", "data.root=pics", "data.style=no.cube"], "there is no such color table"),
]


def make_folders(folder: Path) -> None:
    for name in ("pics", "other", "empty", "runs/first"):
        (folder / name).mkdir(parents=True)
    for name in ("pics", "other"):
        Image.new("RGB", (4, 4)).save(folder / name / "1.png")
    (folder / "runs/first/overrides.yaml").write_text("[]\n")
    (folder / "runs/whole").mkdir()
    for name in RECORD:
        (folder / "runs/whole" / name).touch()
    config = "model: {generator: {_target_: gan.networks.dcgan.Generator}}\nseed: 0\n"
    (folder / "runs/first/config.yaml").write_text(config)


def said(typed: list[str]) -> str:
    try:
        words_of_start(typed)
    except (UserError, HydraException) as error:
        return message_of(error) or ""
    return "no mistake"


def test_a_new_run_gets_the_configuration_that_hydra_composes_of_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    for typed in (["data.root=pics"], ["model=lsgan", "data.root=pics", "images=8", "hydra.run.dir=mine"]):
        words, cfg = words_of_start(typed)
        lock.release()
        found, composed = unresolved(cfg), unresolved(compose(words))
        differing = {name for name in composed if found[name] != composed[name]}
        assert differing <= {"hydra.overrides.hydra", "hydra.job.override_dirname"} and found.keys() == composed.keys()


@pytest.mark.slow
def test_mistakes_are_found_before_torch_is_imported_and_a_folder_is_made(tmp_path: Path) -> None:
    make_folders(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code = (
        "import json, sys\nfrom tests.config.test_new_run import said\n"
        "for typed, line in json.loads(sys.argv.pop()):\n    sys.argv[1:] = typed\n    found = said(typed)\n"
        "    assert 'torch' not in sys.modules and line in found, (typed, found)"
    )
    run_python(["-c", code, json.dumps(MISTAKES)], tmp_path, check=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["data=huggingface", "data.name=USER/SET"]
    check(literals(compose(typed)))
    monkeypatch.setattr("gan.config.new_run.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"data=huggingface needs the datasets library: pip install 'retro-gan\[hub\]'"):
        check(literals(compose(typed)))


@pytest.mark.slow
def test_the_data_group_follows_from_the_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folders(tmp_path)
    monkeypatch.chdir(tmp_path)
    for typed, group in (
        (["data.root=pics"], "folder"),
        (["data.root=pics", "model._target_=tests.test_kinds.OwnGAN"], "folder"),
        (["data.root=[pics,other]", "model=sngan"], "folder"),
        (["model=cut", "data.a=pics", "data.b=other"], "unpaired"),
        (["model=pix2pix", "data.a=pics", "data.b=other"], "paired"),
        (["model=pix2pix", "data.root=pics"], "paired"),
    ):
        words, _ = words_of_start(typed)
        assert f"data={group}" in words and compose(words).hydra.runtime.choices.data == group
        assert f"using data={group}, because data." in capsys.readouterr().out
    for typed in (["data=retro", "data.root=pics"], ["experiment=few_shot", "data.root=pics"], ["seed=1"]):
        assert not [word for word in words_of_start(typed)[0] if word.startswith("data=") and word not in typed]
        assert "using data=" not in capsys.readouterr().out
    with pytest.raises(UserError, match=r"data\.a: is an option of models that translate; add model=style"):
        words_of_start(["data.a=pics", "data.b=other"])
    assert "data=folder" in words_of_start(["-m", "data.root=pics,other"])[0]
    capsys.readouterr()
    assert "data=folder" in words_of_start(["--cfg", "job", "data.root=pics"])[0] and not capsys.readouterr().out


@pytest.mark.slow
def test_a_run_is_resumed_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folders(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words, _ = words_of_start(["data.root=pics", "logger=[]", "callback=[]", "images=8", "hydra.run.dir=runs/new"])
    written = [stored(word) for word in words if not word.startswith(("hydra", "resume"))]
    assert "data.root='~/pics'" in written and str(tmp_path) not in str(written)
    config = to_plain(compose(words))
    assert config["data"]["root"] == "~/pics" and str(tmp_path) not in str(config)
    run = tmp_path / "runs" / "new"
    (run / "overrides.yaml").write_text(yaml.safe_dump(written))
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "environment.jsonl").write_text("{}\n")
    save(run, 4)
    monkeypatch.chdir(tmp_path / "empty")
    again, _ = words_of_start(["resume=../runs/new"])
    assert to_plain(compose([word for word in again if not word.startswith("resume")]))["data"]["root"] == "~/pics"
    same, _ = words_of_start(
        ["data.root=../pics", "logger=[]", "callback=[]", "images=8", "hydra.run.dir=../runs/new", "resume=auto"]
    )
    assert "images-000000004.ckpt" in same[-1]
    (tmp_path / "pics").rename(tmp_path / "moved")
    with pytest.raises(
        UserError, match=r"~?/pics: there is no such folder .* \(if you have moved it, add its new path and"
    ):
        words_of_start(["resume=../runs/new"])
    moved, _ = words_of_start(["resume=../runs/new", "data.root=../moved", "resume_force=true"])
    assert compose(moved[:-1]).data.root == str(tmp_path / "moved")
