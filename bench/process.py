"""Doing some work in a process of its own, with what it cost: seconds, CPU seconds, peak memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

R = TypeVar("R")
Work: TypeAlias = Generator[None, None, R]
"""Yields once, when it has its client and is ready to begin: what comes before does not count. Returns the result."""


@dataclass(frozen=True)
class Cost(Generic[R]):
    """result: what the work returned. seconds: by the clock. cpu: of all its threads, user and system. peak: the
    most bytes the process ever held in memory, the interpreter among them."""

    result: R
    seconds: float
    cpu: float
    peak: int


def measured(work: Callable[..., Work[R]], *arguments: Any) -> Cost[R]:
    """Do it in a fresh interpreter, so that neither imports nor memory of another run count. Raises what it raises."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_cost, work, arguments).result()


def best(rounds: int, *runs: Callable[[], Cost[Any]]) -> list[Cost[Any]]:
    """The quickest of some rounds by the clock, of each of what is compared: other work on the machine only ever makes
    a run slower. They take turns, so that a slow minute of the machine is a slow one for all."""
    costs = [[run() for run in runs] for _ in range(rounds)]
    return [min(of_one, key=lambda cost: cost.seconds) for of_one in zip(*costs, strict=True)]


def middle(rounds: int, one: Callable[[], Cost[Any]], other: Callable[[], Cost[Any]]) -> tuple[Cost[Any], Cost[Any]]:
    """Of so many pairs of runs the one whose ratio by the clock is the middle one; who is first takes turns. For two
    that are close: the quickest run of each may be of different minutes, and a machine that others use differs more
    between those."""
    pairs = []
    for number in range(rounds):
        first, second = (other(), one()) if number % 2 else (one(), other())
        pairs.append((second, first) if number % 2 else (first, second))
    return sorted(pairs, key=lambda pair: pair[0].seconds / pair[1].seconds)[rounds // 2]


def _cost(work: Callable[..., Work[R]], arguments: tuple[Any, ...]) -> Cost[R]:
    running = work(*arguments)
    next(running)
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        next(running)
    except StopIteration as stop:
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        return Cost(stop.value, seconds, cpu, peak_memory())
    raise TypeError(f"{work} yielded twice")


def peak_memory() -> int:
    """Bytes. Linux hands ru_maxrss on from the parent through exec, so there the kernel's own figure is read."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
