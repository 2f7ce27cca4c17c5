"""Resuming selects the right folder, overrides and checkpoint; nothing is trained. tests/security has hostile ones."""

import json
import os
import shlex
from pathlib import Path

import pytest
import yaml

from gan.config import resume
from gan.config.compose import compose, to_plain
from gan.config.launch import words_of_start
from gan.config.new_run import create_folder
from gan.config.overrides import stored as as_stored
from gan.config.resume import differences, is_accepted, read_overrides, with_new_length
from gan.runs import checkpoints, lock, run_folder
from gan.utils.errors import UserError, repeat
from tests.runs.test_run_folder import save


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_names_of_runs_that_begin_together_differ(tmp_path: Path) -> None:
    assert [create_folder(tmp_path / "run", named=False).name for _ in range(3)] == ["run", "run-2", "run-3"]


def test_a_folder_of_runs_lists_them(tmp_path: Path) -> None:
    for name in ("first", "second"):
        create_folder(tmp_path / "runs" / name, named=True)
        for record in run_folder.RECORD:
            (tmp_path / "runs" / name / record).touch()
    with pytest.raises(UserError, match=r"resume=runs: .*; give one of the runs in it: runs/first, runs/second$"):
        words_of_start(["resume=runs"])


USERS = ("config.yaml", "metrics.jsonl", "events.out.tfevents.1", "notes.txt")


@pytest.mark.slow
@pytest.mark.parametrize(("names", "resume"), [(USERS, ()), (("overrides.yaml",), ("resume=auto",))])
def test_a_folder_that_is_no_run_stays_as_it_is(names: tuple[str, ...], resume: tuple[str, ...]) -> None:
    """One file with the name of a record does not make a folder the folder of a run."""
    Path("mine").mkdir()
    for name in names:
        Path("mine", name).write_text("mine")
    with pytest.raises(UserError, match="exists and is not empty"):
        words_of_start(["images=8", "hydra.run.dir=mine", *resume])
    assert {path.name: path.read_text() for path in Path("mine").iterdir()} == dict.fromkeys(names, "mine")


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_run_that_ended_while_it_was_recorded_starts_again(count: int) -> None:
    Path("run").mkdir()
    for name in run_folder.RECORD[:count]:
        Path("run", name).touch()
    assert words_of_start(["images=8", "hydra.run.dir=run", "resume=auto"])[0][-1] == "resume=null"


def stored(run: Path, *overrides: str) -> None:
    cfg = compose([*overrides, "logger=[]", "callback=[]"])
    run.mkdir(parents=True)
    (run / run_folder.ENVIRONMENT).touch()
    (run / run_folder.CONFIG).write_text(yaml.safe_dump(to_plain(cfg)))
    (run / run_folder.OVERRIDES).write_text(yaml.safe_dump(list(overrides)))


def test_options_that_may_change_are_not_differences(tmp_path: Path) -> None:
    stored(tmp_path / "run", "images=8")
    free = ["images=9", "minutes=3", "data.num_workers=2", "trainer.devices=2", "callback=[samples]", "logger=[]"]
    assert differences(tmp_path / "run", compose(free)) == []
    found = differences(tmp_path / "run", compose(["seed=1"]))
    assert found == ["data.seed: 0 -> 1", "model.seed: 0 -> 1", "seed: 0 -> 1"]


@pytest.mark.parametrize("model", ["sngan", "r3gan"])
def test_a_new_length_of_schedules_is_not_a_difference(model: str, tmp_path: Path) -> None:
    stored(tmp_path / "run", f"model={model}", "images=8")
    assert differences(tmp_path / "run", compose([f"model={model}", "images=16"])) == []
    assert differences(tmp_path / "run", compose([f"model={model}", "minutes=3"])) == []
    other = compose([f"model={model}", "images=16", "model.schedules.generator_optimizer.lr.end=1"])
    assert len(differences(tmp_path / "run", other)) == 1


def test_resume_names_the_newest_whole_checkpoint_and_replays_the_overrides(tmp_path: Path) -> None:
    stored(tmp_path / "run", "loss=hinge", "images=800")
    save(tmp_path / "run", 100)
    torn = save(tmp_path / "run", 200)
    torn.write_bytes(b"torn")
    cfg = compose(words_of_start(["resume=run", "images=900"])[0])
    assert Path(cfg.resume).name == "images-000000100.ckpt"
    assert (cfg.images, cfg.hydra.run.dir) == (900, "run")
    assert cfg.loss._target_.endswith("Hinge")


@pytest.mark.parametrize("form", ["null", "''"])  # the second is what older versions stored for null
def test_a_run_whose_paths_are_null_is_resumed(form: str, tmp_path: Path) -> None:
    typed = [f"{key}=null" for key in ("init_from", "data.root", "data.labels", "model.discriminator.weights")]
    assert list(map(as_stored, typed)) == typed
    run = tmp_path / "run"
    stored(run, "model=projected", "images=800", *typed)
    (run / run_folder.OVERRIDES).write_text(
        yaml.safe_dump(["model=projected", "images=800", *(word.replace("null", form) for word in typed)])
    )
    save(run, 100)
    cfg = compose(words_of_start(["resume=run", "images=900"])[0])
    assert cfg.init_from is cfg.data.root is cfg.data.labels is cfg.model.discriminator.weights is None


def test_resume_auto_takes_the_newest_unfinished_run_of_the_same_configuration(tmp_path: Path) -> None:
    for number, (name, options) in enumerate({"other": ["seed=1"], "older": [], "newer": [], "finished": []}.items()):
        run = tmp_path / "runs" / name
        stored(run, "images=100", *options)
        save(run, 100 if name == "finished" else 50)
        os.utime(run / run_folder.CONFIG, (number, number))
    typed = ["images=100", "logger=[]", "callback=[]", "resume=auto"]
    assert compose(words_of_start(typed)[0]).hydra.run.dir == "runs/newer"
    lock.release()
    folder = Path(compose(words_of_start(["images=50", *typed[1:]])[0]).hydra.run.dir)  # all are finished
    assert folder.parent == Path("runs") and not (folder / run_folder.CONFIG).exists()


def test_a_run_without_a_whole_checkpoint_is_not_begun_anew_over_it(tmp_path: Path) -> None:
    stored(tmp_path / "run", "images=800")
    save(tmp_path / "run", 100).write_bytes(b"torn")
    before = sorted(tmp_path.rglob("*"))
    words = ["images=800", "logger=[]", "callback=[]"]
    for target in (["hydra.run.dir=run", "resume=auto"], ["resume=run"]):
        with pytest.raises(UserError, match=r"all its checkpoints are damaged|has no undamaged checkpoint"):
            words_of_start([*words, *target])
        lock.release()
    assert sorted(tmp_path.rglob("*")) == before


def test_another_configuration_is_refused_and_shown(tmp_path: Path) -> None:
    stored(tmp_path / "run", "images=800", "model.generator_optimizer.lr=8e-4")
    save(tmp_path / "run", 100)
    with pytest.raises(UserError, match=r"model\.generator_optimizer\.lr: 0\.0008 -> 0\.001"):
        words_of_start(["resume=run", "images=900", "model.generator_optimizer.lr=1e-3"])


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path / "run", "images=800")
    save(tmp_path / "run", 100)
    lock.acquire(tmp_path / "run")
    monkeypatch.setattr(lock, "_held", {})  # as in another process
    for target in (["resume=run"], ["hydra.run.dir=run", "resume=auto", "logger=[]", "callback=[]"]):
        with pytest.raises(UserError, match=f"process {os.getpid()} on"):
            words_of_start(["images=800", *target])


def test_a_length_that_is_reached_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path / "run", "images=800")
    save(tmp_path / "run", 800)
    words_of_start(["resume=run"])
    assert "run has already seen 800 images, the length that is set; to continue" in capsys.readouterr().out


@pytest.mark.parametrize("length", ["images=400", "minutes=0.5"])
def test_a_length_that_was_passed_is_refused(length: str, tmp_path: Path) -> None:
    stored(tmp_path / "run", "images=800")
    path = checkpoints.sidecar(save(tmp_path / "run", 800))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 90.0}))
    before = (tmp_path / "run" / run_folder.OVERRIDES).read_text()
    with pytest.raises(UserError, match=r"more than the length that is set; .*minutes=\+N"):
        words_of_start(["resume=run", length])
    assert (tmp_path / "run" / run_folder.OVERRIDES).read_text() == before


def test_overrides_that_must_be_typed_again() -> None:
    again = ["+callback.mine._target_=mycb.GradNorm", "logger.mlflow.tracking_uri=http://x", "~search"]
    words = ["images=8", "loss=hinge", "data.size=[8,8]", "init_from=null", *again]
    assert [word for word in words if not is_accepted(word)] == again


def test_the_command_to_continue_needs_a_checkpoint(tmp_path: Path) -> None:
    assert "no checkpoint was saved" in checkpoints.how_to_continue(tmp_path)
    save(tmp_path, 100)
    repeat(lambda: ["+callback.mine._target_=a b"])
    try:
        words = shlex.split(checkpoints.how_to_continue(tmp_path))
    finally:
        repeat(list)
    assert words[-2:] == [f"resume={tmp_path}", "+callback.mine._target_=a b"]


def test_a_length_with_plus_is_added_to_that_of_the_run(tmp_path: Path) -> None:
    stored(tmp_path / "run", "images=800")
    path = checkpoints.sidecar(save(tmp_path / "run", 800))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 90.0}))
    longer = compose(words_of_start(["resume=run", "images=+200"])[0])
    assert (longer.images, longer.minutes) == (1000, None)
    assert compose(words_of_start(["resume=run", "minutes=+10"])[0]).minutes == 11.5


def test_options_of_the_resumed_model_alone_may_be_typed_again(tmp_path: Path) -> None:
    form = "model.generator_optimizer={_target_: torch.optim.SGD, _partial_: true, lr: 0.1}"
    stored(tmp_path / "run", "model=lut", form)
    save(tmp_path / "run", 100)
    with pytest.raises(UserError, match="is refused"):
        words_of_start(["resume=run", "images=200"])
    cfg = compose(words_of_start(["resume=run", "images=200", form])[0])
    assert cfg.model.generator_optimizer._target_ == "torch.optim.SGD"
    with pytest.raises(UserError, match="minutes=-1"):
        words_of_start(["resume=run", "minutes=-1", form])


def test_resuming_from_an_earlier_checkpoint_moves_later_ones_aside(tmp_path: Path) -> None:
    first, second = save(tmp_path, 100), save(tmp_path, 200)
    checkpoints.set_aside_later(tmp_path, 100)
    assert checkpoints.list_checkpoints(tmp_path) == [first]
    (aside,) = (tmp_path / "checkpoints").glob("set-aside-*")
    assert sorted(path.name for path in aside.iterdir()) == [second.stem + ".ckpt", second.stem + ".json"]


def test_a_run_that_lost_its_checkpoints_keeps_its_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    stored(run, "loss=hinge", "images=800")
    logs = {"metrics.jsonl": "{}", "metrics.csv": "x", "evaluation.jsonl": "{}", "events.out.tfevents.1.host": "e"}
    for name, text in logs.items():
        (run / name).write_text(text)
    with pytest.raises(UserError, match="run has another configuration: loss"):
        words_of_start(["loss=nonsaturating", "images=800", "hydra.run.dir=run", "resume=auto"])
    assert {name: (run / name).read_text() for name in logs} == logs
    again = ["loss=hinge", "images=800", "hydra.run.dir=run", "resume=auto"]
    assert words_of_start(again)[0][-1] == "resume=null"
    (aside,) = (run / "checkpoints").glob("set-aside-*")
    assert {path.name: path.read_text() for path in aside.iterdir()} == logs
    assert f"run has no checkpoint and starts again; its logs were moved to run/checkpoints/{aside.name}" in (
        capsys.readouterr().out
    )
    assert words_of_start(again)[0][-1] == "resume=null" and len(list((run / "checkpoints").iterdir())) == 1


def test_external_ranks_need_one_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"hydra\.run\.dir"):
        words_of_start(["images=8"])


def test_ranks_resume_from_the_checkpoint_of_rank_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert resume.decide_on_rank_0(tmp_path, lambda: tmp_path / "x.ckpt") == tmp_path / "x.ckpt"
    monkeypatch.setenv("RANK", "1")
    assert resume.decide_on_rank_0(tmp_path, lambda: pytest.fail("rank 0 decides")) == tmp_path / "x.ckpt"
    monkeypatch.setenv("MASTER_PORT", "2")  # of another start
    monkeypatch.setattr(resume, "DECISION", -lock.LEASE)
    held = iter([True, True, False])  # rank 0 downloads a copy, and then dies
    monkeypatch.setattr(lock, "is_held", lambda run: next(held))
    with pytest.raises(UserError, match="rank 0 did not choose a checkpoint"):
        resume.decide_on_rank_0(tmp_path, lambda: None)
    assert next(held, None) is None


def test_a_rank_with_another_folder_does_not_wait_for_a_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(resume, "UNSEEN", 0.0)
    assert resume.decide_on_rank_0(tmp_path, lambda: pytest.fail("rank 0 decides")) is None


# ---- The overrides of a run folder


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
    words = ["data=folder", "data.root=/elsewhere", "init_from=/run", "data.labels=/table.csv"]
    read_overrides(write(tmp_path, *words), typed=[])  # the checkpoint has the weights of init_from
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{tmp_path}: reads data.root=/elsewhere", f"{tmp_path}: reads data.labels=/table.csv"]


def test_classes_that_are_typed_again_are_replayed(tmp_path: Path) -> None:
    words = ["model.generator_optimizer._target_=torch.optim.AdamW", "seed=1"]
    with pytest.raises(UserError, match="is refused: a run folder may not name classes; if you trust it, repeat it"):
        read_overrides(write(tmp_path, *words), typed=[])
    assert read_overrides(write(tmp_path, *words), typed=words[:1]) == words
