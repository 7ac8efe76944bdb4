"""The command line as a user meets it: in a shell's pipe, or on a terminal."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

COMMAND = [sys.executable, "-m", "artifact_store"]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


def piped(*arguments, env=None, cwd=None, text_in=""):
    """Run with stdin, stdout and stderr as pipes."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=text_in.encode(),
        capture_output=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=60,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*arguments, env=None, columns=80, typed=""):
    """Run with all three streams on one terminal; what is written there comes back in `out`, with plain newlines."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
    # These would override the size and colours of the terminal.
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        if name not in (env or {}):
            environment.pop(name, None)
    with subprocess.Popen([*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as child:
        os.close(theirs)
        os.write(ours, typed.encode())
        written = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                # Linux's way to say that the other side is closed.
                break
            if not chunk:
                break
            written += chunk
        code = child.wait(60)
    os.close(ours)
    return Result(code, written.decode().replace("\r\n", "\n"), "")
