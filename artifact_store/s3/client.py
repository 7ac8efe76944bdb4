"""The one S3 client: many operations in flight, retried inside a bound.

Owns concurrency, retries, the rate limit and timeouts. Jobs (see `operations`) say what to do; nothing here knows why.
awscrt and botocore are loaded when a client is made.

A write whose answer was lost is sent again. Where it carried a condition, the second try may be refused (412) because
the first one succeeded: whoever asked for the condition must look whether what stands there now is its own write.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op
from artifact_store.s3 import wire
from artifact_store.s3.settings import Settings
from artifact_store.s3.transport import Transport, choose

R = TypeVar("R")

ATTEMPTS = 8
"""Tries of one operation, the first included."""
RETRY_SECONDS = 60.0
"""No new try starts later than this after the first."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before the second try, doubled each time, with full jitter."""
UNREACHABLE_ATTEMPTS = 3
"""Tries while nothing has ever answered: a wrong endpoint is told within seconds."""
ANSWER_SECONDS = 60.0
"""Silence after which a request is given up and tried again."""
FIRST_ANSWER_SECONDS = 10.0
"""The same while nothing has ever answered, without TLS: a port where something listens, but no S3, is told in half a
minute. The TLS library takes up to 30 seconds to tell of a certificate it refuses."""
COPY_SECONDS = 900.0
"""The same for a copy of up to 5 GiB and for the assembly of parts, which S3 may take minutes for."""
READ_BYTES = 8 * 1024**2
READ_AHEAD = 4
"""`read` asks for ranges of READ_BYTES, READ_AHEAD at a time: bounded memory, each range retried alone."""

RETRIED_CODES = frozenset(
    {
        "SlowDown",
        "InternalError",
        "ServiceUnavailable",
        "RequestTimeout",
        "OperationAborted",
        "ConditionalRequestConflict",
        "TimedOut",
        "ConnectionReset",
        "Unreachable",
        "Truncated",
        "BadDigest",
    }
)
RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})
THROTTLED = frozenset({"SlowDown", "ServiceUnavailable", "RequestLimitExceeded"})
SLOW = (op.CopyObject, op.UploadPartCopy, op.CompleteMultipartUpload)


@dataclass(slots=True)
class Stats:
    """What a client has done: requests sent (retries among them), retries, bytes of bodies received."""

    requests: int = 0
    retries: int = 0
    received: int = 0


def connect(
    *,
    profile: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    in_flight: int = 64,
    rate: float | None = None,
) -> S3:
    """A client with the credentials, Region and endpoint the aws command line would use.

    in_flight: most requests at a time. rate: most requests a second. Raises UsageError or S3Error, in one line.
    """
    settings = Settings(profile, region, endpoint_url)
    patience = FIRST_ANSWER_SECONDS if settings.endpoint.startswith("http://") else ANSWER_SECONDS
    return S3(choose(settings, in_flight), in_flight=in_flight, rate=rate, first_answer=patience)


@dataclass(slots=True)
class _Running(Generic[R]):
    """A job that waits for answers. many: it asked for a list."""

    job: op.Job[R]
    many: bool = False
    answers: list[Any] = field(default_factory=list)
    missing: int = 0


@dataclass(slots=True)
class _Flight:
    """One operation of a job, through all its tries."""

    running: _Running[Any]
    place: int
    operation: op.Operation
    request: wire.Request
    attempt: int = 0
    began: float = 0.0
    deadline: float = 0.0
    cancel: Callable[[], None] | None = None
    ticket: int = 0


class Pace:
    """How many requests may be in flight, how often one may start, and whether to try again: learnt from answers."""

    def __init__(self, most: int, rate: float | None, first_answer: float) -> None:
        self.most, self.first_answer = most, first_answer
        self.pause = 1 / rate if rate else 0.0
        self.next_send = 0.0
        self._limit = float(most)
        self._slowed = 0.0
        self.answered = False

    def room(self, most: int) -> int:
        return max(1, min(int(self._limit), most))

    def note(self, error: S3Error | None) -> None:
        """Additive increase, multiplicative decrease at most once a second."""
        now = time.monotonic()
        if error is None or error.status:
            self.answered = True
        if error is not None and (error.code in THROTTLED or error.status == 503):
            if now - self._slowed > 1:
                self._limit, self._slowed = max(1.0, self._limit * 0.6), now
        elif self._limit < self.most:
            self._limit = min(float(self.most), self._limit + 1 / self._limit)

    def pause_before_retry(self, error: S3Error, attempt: int, began: float, now: float) -> float | None:
        """Seconds to wait after `attempt` tries since `began`; None for no other try."""
        if error.code not in RETRIED_CODES and error.status not in RETRIED_STATUS:
            return None
        unheard = not self.answered and error.code in ("Unreachable", "TimedOut")
        attempts = UNREACHABLE_ATTEMPTS if unheard else ATTEMPTS
        pause = random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter is no secret
        return None if attempt >= attempts or now + pause - began > RETRY_SECONDS else pause


class S3:
    """See the module. Use as a context manager, or close it."""

    def __init__(
        self,
        transport: Transport,
        *,
        in_flight: int = 64,
        rate: float | None = None,
        first_answer: float = ANSWER_SECONDS,
    ) -> None:
        self.stats = Stats()
        self._transport = transport
        self._pace = Pace(in_flight, rate, first_answer)

    def __enter__(self) -> S3:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def call(self, operation: op.Operation) -> op.Answer:
        """Send one operation and wait for its result. Raises S3Error."""
        return next(self.run([_single(operation)]))

    def run(self, jobs: Iterable[op.Job[R] | None], *, in_flight: int | None = None) -> Iterator[R]:
        """Drive jobs, drawn from the iterable as there is room; yields what they return, in order of completion.
        A None from the iterable means "nothing now": it is asked again after the next answer.

        An S3Error is raised inside the job that asked; what a job lets through ends the run. When the run ends early
        (an error, KeyboardInterrupt, the iterator closed) what is in flight is cancelled.
        """
        run = _Run(self._transport, self._pace, self.stats, iter(jobs), in_flight or self._pace.most)
        return run.results()

    def read(self, get: op.GetObject) -> Iterator[bytes]:
        """A body in chunks of up to READ_BYTES, in order. Every range must be of the same ETag and of full length.

        Raises S3Error, also in mid-body when the object changed (PreconditionFailed).
        """
        start = get.first or 0
        end = start + READ_BYTES - 1 if get.last is None else min(get.last, start + READ_BYTES - 1)
        try:
            body = self.call(op.GetObject(get.bucket, get.key, get.version_id, start, end, get.if_match))
        except S3Error as error:
            if error.status != 416 or start:
                raise
            body = self.call(op.GetObject(get.bucket, get.key, get.version_id, if_match=get.if_match))
        total = body.size if get.last is None else min(body.size, get.last + 1)
        etag, position = body.etag, start + len(body.data)
        if body.data:
            yield body.data
        while position < total:
            ranges: list[op.GetObject] = []
            while position < total and len(ranges) < READ_AHEAD:
                last = min(position + READ_BYTES, total) - 1
                ranges.append(op.GetObject(get.bucket, get.key, get.version_id, position, last, etag))
                position = last + 1
            for part, asked in zip(next(self.run([_several(ranges)])), ranges, strict=True):
                expected = (asked.last or 0) - (asked.first or 0) + 1
                if len(part.data) != expected:
                    text = f"GetObject {wire.place(get)}: {len(part.data)} of {expected} bytes came; read it again"
                    raise S3Error(text, code="Truncated", operation="GetObject")
                yield part.data


class _Run(Generic[R]):
    """One call of `S3.run`."""

    def __init__(
        self, transport: Transport, pace: Pace, stats: Stats, jobs: Iterator[op.Job[R] | None], most: int
    ) -> None:
        self._transport, self._pace, self._stats, self._jobs, self._most = transport, pace, stats, jobs, most
        self._queue: SimpleQueue[tuple[int, wire.Reply | S3Error]] = SimpleQueue()
        self._flying: dict[int, _Flight] = {}
        self._ready: deque[_Flight] = deque()
        self._waiting: list[tuple[float, int, _Flight]] = []
        self._tickets = count(1)
        self._open: dict[int, _Running[R]] = {}
        self._results: deque[R] = deque()
        self._more = True
        self._asked = False
        self._next_check = 0.0

    def results(self) -> Iterator[R]:
        try:
            while True:
                self._fill()
                while self._results:
                    yield self._results.popleft()
                    self._fill()
                if not (self._flying or self._waiting or self._ready or self._more):
                    return
                self._receive()
        finally:
            self._cancel()

    def _fill(self) -> None:
        """Send whatever there is room and time for."""
        now = time.monotonic()
        self._asked = False
        while self._waiting and self._waiting[0][0] <= now:
            self._ready.append(heapq.heappop(self._waiting)[2])
        room = self._pace.room(self._most)
        while len(self._flying) < room:
            if self._pace.pause and now < self._pace.next_send:
                return
            if self._ready:
                self._send(self._ready.popleft(), now)
            elif self._more and not self._asked and len(self._waiting) < room:
                self._start()
            else:
                return

    def _start(self) -> None:
        try:
            job = next(self._jobs)
        except StopIteration:
            self._more = False
            return
        if job is None:
            self._asked = True
            return
        running = _Running(job)
        self._open[id(running)] = running
        self._step(running, None)

    def _step(self, running: _Running[R], answer: Any) -> None:
        """Hand a job its answer (or throw its error into it) and take its next question."""
        try:
            ask = running.job.throw(answer) if isinstance(answer, S3Error) else running.job.send(answer)
        except StopIteration as stop:
            del self._open[id(running)]
            self._results.append(stop.value)
            if isinstance(answer, S3Error):
                answer.__traceback__ = None
            return
        except BaseException:
            del self._open[id(running)]
            raise
        running.many = isinstance(ask, list)
        asked = ask if isinstance(ask, list) else [ask]
        if not asked:
            self._step(running, [])
            return
        running.answers, running.missing = [None] * len(asked), len(asked)
        for place, operation in enumerate(asked):
            self._ready.append(_Flight(running, place, operation, wire.encode(operation)))

    def _send(self, flight: _Flight, now: float) -> None:
        if self._pace.pause:
            self._pace.next_send = max(now, self._pace.next_send) + self._pace.pause
        flight.attempt += 1
        flight.began = flight.began or now
        flight.deadline = now + self._patience(flight.operation)
        flight.ticket = ticket = next(self._tickets)
        self._stats.requests += 1
        self._stats.retries += flight.attempt > 1
        self._flying[ticket] = flight
        put = self._queue.put
        flight.cancel = self._transport.send(flight.request, lambda reply: put((ticket, reply)))

    def _patience(self, operation: op.Operation) -> float:
        """Seconds to wait for the answer."""
        if isinstance(operation, SLOW):
            return COPY_SECONDS
        return ANSWER_SECONDS if self._pace.answered else min(ANSWER_SECONDS, self._pace.first_answer)

    def _receive(self) -> None:
        """Wait for one answer, or until something else is due."""
        now = time.monotonic()
        due = [now + 1.0]
        if self._waiting:
            due.append(self._waiting[0][0])
        wanted = self._ready or (self._more and not self._asked)
        if self._pace.pause and wanted and len(self._flying) < self._pace.room(self._most):
            due.append(self._pace.next_send)
        try:
            ticket, reply = self._queue.get(timeout=max(0.0, min(due) - now))
        except Empty:
            ticket, reply = 0, S3Error("")
        if ticket in self._flying:
            self._finish(self._flying.pop(ticket), reply)
        if now >= self._next_check:
            self._next_check = now + 1.0
            self._give_up_on_the_silent(now)

    def _finish(self, flight: _Flight, reply: wire.Reply | S3Error) -> None:
        result = reply if isinstance(reply, S3Error) else self._read(flight.operation, reply)
        failed = result if isinstance(result, S3Error) else None
        self._pace.note(failed)
        if failed is not None:
            now = time.monotonic()
            pause = self._pace.pause_before_retry(failed, flight.attempt, flight.began, now)
            if pause is not None:
                heapq.heappush(self._waiting, (now + pause, flight.ticket, flight))
                return
            if flight.attempt > 1:
                result = _given_up(failed, flight.attempt)
        running = flight.running
        running.answers[flight.place] = result
        running.missing -= 1
        if not running.missing:
            first = next((a for a in running.answers if isinstance(a, S3Error)), None)
            self._step(running, first or (running.answers if running.many else running.answers[0]))

    def _read(self, operation: op.Operation, reply: wire.Reply) -> Any:
        """The operation's result, or the S3Error that the answer amounts to."""
        self._stats.received += len(reply.body)
        try:
            return wire.decode(operation, reply)
        except S3Error as error:
            # What it remembers of where it was raised would keep whoever is told of it, bodies and all.
            return error.with_traceback(None)

    def _give_up_on_the_silent(self, now: float) -> None:
        for ticket in [t for t, flight in self._flying.items() if flight.deadline < now]:
            flight = self._flying.pop(ticket)
            if flight.cancel:
                flight.cancel()
            seconds = int(now - flight.began)
            text = f"{wire.name(flight.operation)} {wire.place(flight.operation)}: no answer in {seconds} s"
            if not self._pace.answered:
                text += ", and to nothing else before: look at --endpoint-url, AWS_ENDPOINT_URL and the network"
            self._finish(flight, S3Error(text, code="TimedOut", operation=wire.name(flight.operation)))

    def _cancel(self) -> None:
        for flight in self._flying.values():
            if flight.cancel:
                flight.cancel()
        for running in list(self._open.values()):
            running.job.close()
        self._flying.clear()
        self._ready.clear()
        self._waiting.clear()


def _given_up(error: S3Error, attempts: int) -> S3Error:
    return S3Error(
        f"{error}; tried {attempts} times, try again later",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
        operation=error.operation,
    )


def _single(operation: op.Operation) -> op.Job[op.Answer]:
    return (yield operation)


def _several(operations: list[op.GetObject]) -> op.Job[list[op.ObjectBody]]:
    bodies: list[op.ObjectBody] = yield list(operations)
    return bodies
