"""S3 in memory where every answer takes one tick and so many requests may be under way: waiting, counted."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from artifact_store.s3 import operations as op

READING = 5e-6
"""Seconds that reading an entry's XML takes."""


class Ticking:
    """keys: sorted, each with so many versions. page: most entries of an answer. flight: requests under way at once."""

    def __init__(self, keys: Sequence[str], *, versions: int = 3, page: int = 100, flight: int = 64) -> None:
        self.keys, self.versions, self.page, self.flight = keys, versions, page, flight
        self.ticks = 0
        self.asked: list[op.ListVersions] = []

    @property
    def requests(self) -> int:
        return len(self.asked)

    @property
    def pages(self) -> int:
        """How many answers hold all there is."""
        return -(-len(self.keys) * self.versions // self.page)

    def call(self, ask: op.ListVersions) -> op.VersionPage:
        self.ticks += 1
        return self._answer(ask)

    def run(self, jobs: Iterable[op.Job[Any] | None]) -> Iterator[Any]:
        waiting = iter(jobs)
        heap: list[tuple[int, int, op.Job[Any], op.Ask]] = []
        under_way = started = 0
        more = True

        def start(job: op.Job[Any], value: Any) -> list[Any]:
            nonlocal under_way, started
            try:
                ask = job.send(value)
            except StopIteration as end:
                return [end.value]
            under_way += len(ask) if isinstance(ask, list) else 1
            started += 1
            heapq.heappush(heap, (self.ticks + 1, started, job, ask))
            return []

        while True:
            while more and under_way < self.flight:
                job = next(waiting, False)
                if job is None:
                    break
                if job is False:
                    more = False
                else:
                    yield from start(job, None)
            if not heap:
                return
            self.ticks, _, job, ask = heapq.heappop(heap)
            under_way -= len(ask) if isinstance(ask, list) else 1
            yield from start(job, [self._answer(one) for one in ask] if isinstance(ask, list) else self._answer(ask))

    def _answer(self, ask: op.ListVersions) -> op.VersionPage:
        self.asked.append(ask)
        entries: list[op.Entry] = []
        prefixes: list[str] = []
        most = min(self.page, ask.max_keys)
        at = max(bisect_left(self.keys, ask.prefix), bisect_left(self.keys, ask.key_marker))
        while at < len(self.keys) and (key := self.keys[at]).startswith(ask.prefix):
            cut = key.find("/", len(ask.prefix)) if ask.delimiter else -1
            if cut >= 0:
                folder = key[: cut + 1]
                if not ask.key_marker >= folder:
                    if len(entries) + len(prefixes) == most:
                        return self._page(entries, prefixes, truncated=True)
                    prefixes.append(folder)
                at = bisect_left(self.keys, key[:cut] + "0")
                continue
            after = int(ask.version_id_marker) + 1 if key == ask.key_marker else 0
            for version in range(after, self.versions):
                if len(entries) + len(prefixes) == most:
                    return self._page(entries, prefixes, truncated=True)
                entries.append(op.Entry(key, str(version), float(100 - version), version == 0, size=1))
            at += 1
        return self._page(entries, prefixes, truncated=False)

    def _page(self, entries: list[op.Entry], prefixes: list[str], *, truncated: bool) -> op.VersionPage:
        last = max(
            [*((e.key, e.version_id) for e in entries[-1:]), *((p, "") for p in prefixes[-1:])], default=("", "")
        )
        key, version = last if truncated else ("", "")
        return op.VersionPage(entries, prefixes, truncated, key, version, 0.0, read_in=READING * len(entries))
