"""Digests of the images that `gan` writes for fixed seeds: run it in two versions and compare the files.

python tests/benchmarks/same_results.py FILE

FILE gets one line per image: the SHA-256 of its pixels and of the whole file, and what wrote it. Run both versions on
one machine, because pixels depend on the processor.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageSequence

MODELS = ("tiles32", "prints64", "retro64")
TRANSLATORS = ("engraving", "film", "press")
# The looks in the order of gan translate --list-looks, and what the commands write with them.
COMMANDS = {
    **{f"generate {name}": f"generate zoo:{name} --seeds 0-7 --out out" for name in MODELS},
    "generate grid": "generate zoo:tiles32 --seeds 0-15 --grid --out out",
    "generate class": "generate zoo:prints64 --seeds 3-6 --class woodcut --out out",
    "interpolate": "interpolate zoo:tiles32 --seeds 0-2 --frames 4 --out out/video.gif",
    "edit": "edit zoo:tiles32 --seeds 0-3 --set brightness=1 warmth=-1 --out out",
    "edit mix": "edit zoo:prints64 --seeds 0-3 --mix 12:0.5 --out out",
    "edit size": "edit zoo:retro64 --seeds 0-3 --size 96x64 --out out",
    "project": "project zoo:tiles32 photo/a.png --steps 20 --out out",
    **{f"translate {name}": f"translate zoo:{name} photo out" for name in TRANSLATORS},
    "translate tiles": "translate zoo:press photo out --tile 64 --strength 0.6",
    "translate filters": "translate look:fade,grain,pixels photo out --seed 7",
    "translate cell": "translate look:pixel_art photo out --cell 4 --palette gameboy",
    "translate palette": "translate look:film photo out --cell 2 --palette nes --dither bayer4",
    "table": "export look:film --to cube --out out",
}


def photographs(folder: Path) -> None:
    """Draw two images with smooth and sharp parts, one of them with an odd size."""
    for name, width, height in (("a", 192, 128), ("b", 127, 161)):
        noise = np.random.default_rng(width).normal(0, 12, (height, width, 3))
        rows, columns = np.mgrid[:height, :width]
        smooth = np.stack([rows / height, columns / width, (rows + columns) / (height + width)], -1) * 220
        image = Image.fromarray((smooth + noise).clip(0, 255).astype("uint8"))
        draw = ImageDraw.Draw(image)
        draw.ellipse((30, 20, 90, 80), fill=(200, 60, 40), outline=(20, 20, 20), width=3)
        draw.rectangle((70, 70, 120, 120), fill=(240, 220, 160))
        image.save(folder / f"{name}.png")


def digest(path: Path) -> tuple[str, str]:
    """Return the digests of the pixels of all frames and of the bytes of a file."""
    pixels = hashlib.sha256()
    if path.suffix == ".cube":
        pixels.update("\n".join(line for line in path.read_text().splitlines() if line[:1].isdigit()).encode())
    else:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                pixels.update(repr((frame.mode, frame.size)).encode() + frame.tobytes())
    return pixels.hexdigest()[:16], hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def main(target: Path) -> None:
    """Run all commands, each in an empty folder with the photographs, and write the digests."""
    gan = [sys.executable, "-m", "gan"]
    listed = subprocess.run([*gan, "translate", "--list-looks"], capture_output=True, text=True, check=True).stdout
    looks = [line.split(":")[0] for line in listed.splitlines() if line[:1].strip() and "," not in line.split(":")[0]]
    commands = COMMANDS | {f"look {name}": f"translate look:{name} photo out --seed 5" for name in looks}
    lines = []
    for title, words in commands.items():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "photo").mkdir()
            photographs(Path(folder) / "photo")
            run = subprocess.run([*gan, *words.split()], cwd=folder, capture_output=True, text=True, check=False)
            if run.returncode:
                print(f"{title}: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            suffixes = (".png", ".gif", ".cube")
            for path in sorted(path for path in Path(folder, "out").rglob("*") if path.suffix in suffixes):
                lines.append(" ".join((*digest(path), title, path.name)))
        print(title, flush=True)
    target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
