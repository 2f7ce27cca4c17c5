"""What SIGKILL costs a run: kills at random moments and inside saves, then the restart; and two processes on one run.

    python tests/benchmarks/faults.py [--kills 200] [--seed 0]

Each kill hits a tiny run that resumes where the kill before has left it, one run each for keep=1 and 2, and 1 and 2
ranks; TMPDIR is on another device where there is one (/dev/shm). After each kill the folder is locked and mended as
`train.py resume=` does it, and looked at:

lost          kills after which the newest checkpoint is older than one that was complete before
redone        images, at most, that the next start trains again; a checkpoint is due every 8
best wrong    kills after which best.json is not the checkpoint with the best score in metrics.jsonl
leavings      files left after the restart that belong to nothing
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
EVERY = 8  # images from one checkpoint to the next, and from one evaluation to the next
SCORE = "eval/kid_x1000_random_conv"
OPTIONS = [
    "data.size=16", "data.batch_size=4", "data.num_images=24", "data.split=null", "model.log_interval=4",
    "model.generator.width=4", "model.generator.full_size_channels=0", "model.generator.latent_dim=8",
    "model.discriminator.width=4",
    "callback=[samples,evaluate,checkpoint]", "callback.samples.interval=16", "callback.samples.first=16",
    "callback.samples.num_images=4", f"callback.evaluate.interval={EVERY}", f"callback.evaluate.first={EVERY}",
    "callback.evaluate.num_images=8", "callback.evaluate.extractors=[random_conv]", f"objective={SCORE}",
    f"callback.checkpoint.interval={EVERY}", "trainer.accelerator=cpu", "trainer.precision=32-true",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import gan.training.callbacks.samples
    import gan.training.fit  # noqa: F401  (imported once, for all forks)

    shared = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as other,
    ):
        folder = Path(name)
        os.chdir(folder)
        os.environ["RETRO_GAN_CACHE"] = str(folder / "cache")
        os.environ["TMPDIR"] = tempfile.tempdir = other
        print(f"TMPDIR on another device: {os.stat(other).st_dev != os.stat(folder).st_dev}")
        found: Counter[str] = Counter()
        chance_distance = random.Random(arguments.seed)
        # (ranks, keep), and the sixths of all kills at which each ends: two ranks take ten times as long to start.
        done = 0
        for (ranks, keep), end in {(1, 1): 2, (1, 2): 4, (2, 1): 5, (2, 2): 6}.items():
            count = arguments.kills * end // 6 - done
            found += kills(folder / f"{ranks}-{keep}", ranks, keep, count, chance_distance)
            done += count
        print(
            ", ".join(f"{name} {found[name]}" for name in ("kills", "inside saves", "lost", "best wrong", "leavings"))
        )
        print(f"two processes on one run: {two_processes(folder / 'two')}")


def kills(run: Path, ranks: int, keep: int, count: int, chance_distance: random.Random) -> Counter[str]:
    """Kill and resume one run so many times."""
    found, most = Counter[str](), 0
    for number in range(count):
        inside = chance_distance.random() < 0.5 and ranks == 1
        seen, logged = one_kill(run, ranks, keep, chance_distance, inside)
        redone, faults = looked_at(run, seen, logged)
        most = max(most, redone)
        found += Counter({"kills": 1, "inside saves": int(inside), **faults})
        if any(faults.values()) or redone > EVERY:
            print(
                f"  {run.name}, kill {number}, {'inside a save' if inside else 'at random'}: {faults}, redone {redone}"
            )
    print(f"{ranks} rank(s), keep={keep}: {found['kills']} kills, {found['inside saves']} inside saves, "
          f"redone {most} images at most", flush=True)  # fmt: skip
    return found


def one_kill(run: Path, ranks: int, keep: int, chance_distance: random.Random, inside: bool) -> tuple[int, int]:
    """Resume a run, kill it, and return the images of the newest complete checkpoint and of the last line before."""
    from gan.run import run_folder
    from gan.run.metrics import read_metrics

    begun = newest_complete(run)
    words = [f"trainer.devices={ranks}", f"callback.checkpoint.keep={keep}", "images=1000000", "resume=auto"]
    child = start(run, words, killing_inside(chance_distance) if inside else None)
    end, seen = time.monotonic() + 120, begun
    wait = None
    while True:
        seen = max(seen, newest_complete(run))
        if wait is None and seen > begun:
            wait = time.monotonic() + chance_distance.uniform(0, 0.6)
        ended = os.waitpid(child, os.WNOHANG)[0] == child
        if ended or (not inside and wait is not None and time.monotonic() >= wait):
            break
        if time.monotonic() > end:
            raise SystemExit(f"{run}: no checkpoint in two minutes; {(run.parent / 'out').read_text()[-2000:]}")
        time.sleep(0.001)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # further ranks, too
    if not ended:
        os.waitpid(child, 0)
    elif not inside:
        raise SystemExit(f"{run}: ended by itself; {(run.parent / 'out').read_text()[-2000:]}")
    lines = read_metrics(run / run_folder.METRICS)
    return seen, max((line["images"] for line in lines), default=0)


def looked_at(run: Path, seen: int, logged: int) -> tuple[int, dict[str, int]]:
    """Lock and mend a run folder as the next start does; images to be trained again, and what is wrong."""
    from gan.common.untrusted import read_json
    from gan.run import checkpoints, lock, run_folder
    from gan.run.checkpoint_file import load
    from gan.run.checkpoint_io import check_resumable
    from gan.run.metrics import read_metrics

    lock.acquire(run)
    newest = checkpoints.repair(run)
    lock.release()
    if newest is not None:
        check_resumable(load(newest), newest)
    reached = 0 if newest is None else checkpoints.images_of(newest)  # none yet: killed inside the first save
    scores = {line["images"]: line[SCORE] for line in read_metrics(run / run_folder.METRICS) if SCORE in line}
    trained = {images: score for images, score in scores.items() if 0 < images <= reached}
    expected = min(trained, key=lambda images: (trained[images], images)) if trained else None
    best = run / run_folder.CHECKPOINTS / checkpoints.BEST
    named = read_json(best)["images"] if best.exists() else None
    wrong = named != expected or (
        named is not None and checkpoints.find_damage(checkpoints.checkpoint_path(run, named)) is not None
    )
    files = [*run.glob(".*"), *(run / run_folder.CHECKPOINTS).glob(".*"), *(run / run_folder.SAMPLES).glob(".*")]
    files += [
        path for path in (run / run_folder.CHECKPOINTS).glob("images-*.json") if not path.with_suffix(".ckpt").exists()
    ]
    files += [*(run / run_folder.CHECKPOINTS).glob("set-aside-*"), *Path(tempfile.gettempdir()).iterdir()]
    return logged - reached, {"lost": int(reached < seen), "best wrong": int(wrong), "leavings": len(files)}


def newest_complete(run: Path) -> int:
    from gan.run import checkpoints

    complete = (path for path in reversed(checkpoints.list_checkpoints(run)) if checkpoints.is_complete(path))
    return next((int(path.stem.removeprefix("images-")) for path in complete), 0)


def start(run: Path, words: list[str], prepare: Callable[[], None] | None = None) -> int:
    """train.py in a fork of this process, which has torch already, in a process group of its own; its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    os.setpgid(0, 0)
    out = os.open(run.parent / "out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if prepare:
        prepare()
    sys.argv = [str(ROOT / "train.py"), *OPTIONS, f"hydra.run.dir={run}", *words]
    code: Any = 1
    try:
        import runpy

        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


def killing_inside(chance_distance: random.Random) -> Callable[[], None]:
    """Let a process kill itself before or after some file operation of a later save or removal."""
    place, before = chance_distance.randrange(10, 90), chance_distance.random() < 0.5

    def prepare() -> None:
        from gan.common import files
        from gan.run import checkpoints

        count = 0

        class Watched:
            def __getattr__(self, name: str) -> Any:
                real = getattr(os, name)
                return watched(real) if name in ("replace", "fsync") else real

        def watched(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == place and before:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*args, **options)
                if count == place:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return counted

        for module in (checkpoints, files):
            module.os = Watched()  # type: ignore[attr-defined]
        Path.unlink = watched(Path.unlink)  # type: ignore[method-assign]

    return prepare


def two_processes(run: Path) -> str:
    """Start two processes on one run at once, by hand and as a scheduler does; what came of it."""
    from gan.run import checkpoints, run_folder
    from gan.run.metrics import read_metrics

    told = []
    os.waitpid(start(run, ["images=64"]), 0)
    for environment in ({}, {"SLURM_JOB_ID": "1"}):
        os.environ |= environment
        length = newest_complete(run) + 200
        both = [start(run, [f"images={length}", "resume=auto"]) for _ in range(2)]
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in both)
        lines = [line["images"] for line in read_metrics(run / run_folder.METRICS) if "loss/generator" in line]
        doubled = len(lines) - len(set(lines))
        whole = checkpoints.find_damage(checkpoints.checkpoint_path(run, length)) is None
        told.append(f"{'one waits' if environment else 'one is refused'}: exit codes {codes}, lines doubled {doubled}, "
                    f"checkpoint whole {whole}")  # fmt: skip
        for name in environment:
            del os.environ[name]
    return "; ".join(told)


if __name__ == "__main__":
    main()
