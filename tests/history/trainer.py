"""A trainer that saves any kind of model again and again, and knows what a reader of the bucket saw at each second.

Uploads in parts bear the time of their beginning and can be seen at their end, as on S3. The trainer may upload side by
side, try a file again, be cut off and resume; noncurrent versions may expire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from artifact_store.history import models
from artifact_store.history.listing import list_histories
from artifact_store.history.models import Finder, Verdict
from artifact_store.history.scope import parse_scope
from tests.model_files import Files, Kind
from tests.restore.memory import MemoryS3

T0 = 1_000_000
PREFIX = "models/m/"
LISTS = re.compile(
    r".*\.json|MLmodel|\.metadata|meta\.pt|.*\.index|.*\.pb|.*\.pbtxt|latest|.*manifest\.ocdbt|checkpoint|.*\.txt|.*\.py"
)
"""Names of what is small: it is uploaded in one request, after what was begun before it has ended."""

How = Literal["one by one", "side by side"]


@dataclass(frozen=True, slots=True)
class Upload:
    path: str
    step: int
    began: int
    ended: int
    data: bytes


@dataclass
class Trainer:
    """together: matches the files of which a reader needs those of one save, in a kind's paths."""

    kind: Kind
    together: str
    count: int = 3
    s3: MemoryS3 = field(default_factory=MemoryS3)
    uploads: list[Upload] = field(default_factory=list)
    in_parts: bool = True

    def files(self, step: int) -> Files:
        return self.kind.save(step, self.count)

    def save(
        self,
        step: int,
        began: int,
        *,
        first: int = 0,
        until: int | None = None,
        seconds: int = 2,
        how: How = "one by one",
        again: int | None = None,
    ) -> int:
        """Upload the files first..until-1 of a save, each in so many seconds; the file `again` twice. Returns the second
        at which all of them can be seen."""
        now = ended = began
        for number, (path, data) in list(enumerate(self.files(step).items()))[first:until]:
            small = not self.in_parts or bool(LISTS.fullmatch(path.rsplit("/", 1)[-1]))
            now = max(now, ended) if small or how == "one by one" else now
            for _ in range(2 if number == again else 1):
                end = now if small else now + seconds
                self.upload(path, data, step, now, end, whole=small)
                ended = max(ended, end)
                now = end + 1 if how == "one by one" or small or number == again else now + 1
        return ended

    def upload(self, path: str, data: bytes, step: int, began: int, ended: int, *, whole: bool) -> None:
        self.s3.clock = ended
        if whole:
            self.s3.put(PREFIX + path, data, time=began)
        else:
            self.s3.put_parts(PREFIX + path, [data[:50], data[50:]], began=began)
        self.uploads.append(Upload(path, step, began, ended, data))

    def bring_back(self, step: int, began: int) -> int:
        """Copy what is not as that save left it, one file a second and in the same parts, as a restore does."""
        now = began
        seen = self.visible(began)
        for path, data in self.files(step).items():
            if seen.get(path) != data:
                small = not self.in_parts or bool(LISTS.fullmatch(path.rsplit("/", 1)[-1]))
                self.upload(path, data, step, now, now, whole=small)
                now += 1
        return now

    def expire(self, before: int) -> None:
        """Remove the versions that were replaced before that second, as a lifecycle rule does."""
        for entries in self.s3.buckets["bkt"].keys.values():
            entries[:] = [
                one for age, one in enumerate(entries) if not age or entries[age - 1].entry.last_modified >= before
            ]

    def visible(self, instant: int) -> Files:
        """What a reader saw at the end of that second. The versions of a file are in the order of their beginnings."""
        seen: dict[str, Upload] = {}
        for upload in self.uploads:
            if upload.ended <= instant and (upload.path not in seen or seen[upload.path].began <= upload.began):
                seen[upload.path] = upload
        return {path: upload.data for path, upload in seen.items()}

    def whole(self, instant: int, below: str = PREFIX) -> bool:
        """Whether what belongs together was of one save, and there; of the files below that prefix."""
        seen = self.visible(instant)
        return any(
            all(seen.get(path) == data for path, data in self.bound(step).items() if (PREFIX + path).startswith(below))
            for step in {upload.step for upload in self.uploads}
        )

    def bound(self, step: int) -> Files:
        found = {path: data for path, data in self.files(step).items() if re.fullmatch(self.together, path)}
        assert found, f"nothing of {self.kind} is {self.together}"
        return found

    def verdicts(self, instant: float, *, settled: bool = False) -> list[Verdict]:
        """Of every set there that holds something of what belongs together."""
        finder = Finder(parse_scope("s3://bkt"))
        found = [one for history in list_histories(self.s3, "bkt") for one in finder.see(history, written=True)]
        found += finder.end()
        jobs = (models.assess("bkt", candidate, instant, settled=settled) for candidate in found)
        return [verdict for verdicts in self.s3.run(jobs) for verdict in verdicts if self._holds(verdict)]

    def _holds(self, verdict: Verdict) -> bool:
        paths = ((verdict.found.prefix + path).removeprefix(PREFIX) for path in verdict.found.members)
        return any(re.fullmatch(self.together, path) for path in paths)
