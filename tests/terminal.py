"""Run a command in a terminal of the test's own."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

from tests.conftest import environment
from tests.patience import PATIENCE


def in_terminal(words: list[str], folder: Path, columns: int, **variables: str) -> str:
    """Run a command in a terminal, and return what the terminal got."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in environment().items() if name not in ("COLUMNS", "NO_COLOR", "TERM")}
    process = subprocess.Popen(words, cwd=folder, env=kept | variables, stdin=child, stdout=child, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(parent)
    assert process.wait(PATIENCE) == 0, shown.decode()
    return shown.decode()
