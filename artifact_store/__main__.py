"""The program's entry: `artifact-store`, and `python -m artifact_store`."""

from __future__ import annotations

import gc
import signal
import sys

OBJECTS_BETWEEN_COLLECTIONS = 500_000
"""Python's 700 suit programs that make cycles. Loading this one makes 34,000 objects of cycles, and a listing or a copy
none at all: looking for them took an eighth of the time to start and a twentieth of a plan."""


SWITCH_SECONDS = 0.0003
"""Python's 0.005 make each answer wait for what is being computed: of many small ones in flight that is a tenth of the
time."""


def tune() -> None:
    """Set up the interpreter for this program, which a library must not do."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    sys.setswitchinterval(SWITCH_SECONDS)


def main() -> None:
    """Load the command line and run it. An interrupt while it loads ends the program without a traceback."""
    tune()
    before = signal.getsignal(signal.SIGINT)
    # A shell that starts a job in the background has it ignore interrupts, and that must stay so.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from artifact_store.cli.main import main as run

    signal.signal(signal.SIGINT, before)
    run()


if __name__ == "__main__":
    main()
