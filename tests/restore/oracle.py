"""What a versioned bucket held at a second, by replaying what happened to it: the S3 User Guide read forwards.

Deliberately unlike the code under test, which reads a listing backwards: this knows no versions, only events.
"""

from dataclasses import dataclass, replace

from artifact_store.errors import S3Error
from tests.restore.memory import NOW, MemoryS3


@dataclass(frozen=True)
class Event:
    """data None is a delete. parts: written as a multipart upload of so many parts. second: counted from NOW, of the
    event, or of the end of an upload; lag: how many seconds before that the upload began."""

    second: int
    key: str
    data: bytes | None
    parts: int = 0
    lag: int = 0

    @property
    def stamped(self) -> int:
        """The second that S3 gives it."""
        return max(0, self.second - self.lag) if self.parts else self.second


def as_stamped(events: list[Event]) -> list[Event]:
    """In the order S3 keeps them: an upload takes its place by when it began."""
    return [replace(event, second=event.stamped, lag=0) for event in sorted(events, key=lambda event: event.stamped)]


def replay(events: list[Event], until: int | None = None) -> dict[str, bytes]:
    """Content per key after all events whose second is at most `until`."""
    held: dict[str, bytes] = {}
    for event in events:
        if until is not None and event.second > until:
            break
        if event.data is None:
            held.pop(event.key, None)
        else:
            held[event.key] = event.data
    return held


def perform(s3: MemoryS3, events: list[Event], bucket: str = "bkt") -> None:
    """Let the events happen, then let a minute pass."""
    for event in events:
        s3.clock = NOW + event.second
        if event.data is None:
            s3.delete(event.key, bucket=bucket)
        elif event.parts:
            size = max(1, -(-len(event.data) // event.parts))
            parts = [event.data[i : i + size] for i in range(0, len(event.data), size)] or [b""]
            s3.put_parts(event.key, parts, bucket=bucket, began=NOW + event.stamped)
        else:
            s3.put(event.key, event.data, bucket=bucket)
    s3.clock = NOW + (events[-1].second if events else 0) + 60


class LostConnection:
    """Fails every request from the nth on, counted from 0."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, _: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise S3Error("no answer", code="Unreachable")
