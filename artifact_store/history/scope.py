"""What part of a bucket a command is about: `s3://BUCKET[/PREFIX]`.

Owns the meaning of PREFIX: a path. `models/m-1` is that key and all below `models/m-1/`, never `models/m-10`; a raw
prefix is written with a trailing `*`. A trailing `/` is the folder alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact_store.errors import UsageError

if TYPE_CHECKING:
    from artifact_store.history.listing import History
    from artifact_store.s3.operations import Entry
    from artifact_store.s3.server import Server

EXAMPLE = "write s3://BUCKET or s3://BUCKET/PREFIX"


@dataclass(frozen=True, slots=True)
class Scope:
    """prefix: a path without trailing `*`, or a raw prefix where `raw`; "" is the whole bucket."""

    bucket: str
    prefix: str = ""
    raw: bool = False

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}{'*' if self.raw else ''}"

    @property
    def root(self) -> str:
        """What is taken off a key to make it relative: the prefix up to its last `/`, or the folder it names."""
        if not self.raw and self.prefix and not self.prefix.endswith("/"):
            return f"{self.prefix}/"
        return self.prefix[: self.prefix.rfind("/") + 1]

    def contains(self, key: str) -> bool:
        if self.raw or not self.prefix or self.prefix.endswith("/"):
            return key.startswith(self.prefix)
        return key == self.prefix or key.startswith(f"{self.prefix}/")

    def relative(self, key: str) -> str:
        """The key as `aws s3 sync` names it below another root; its last part where it is the prefix itself."""
        if key.startswith(self.root):
            return key[len(self.root) :]
        return key[key.rfind("/") + 1 :]

    def histories(self, s3: Server) -> Iterator[History]:
        """Every key of the scope with its entries, in UTF-8 byte order of keys."""
        from artifact_store.history.listing import list_histories, list_history

        if self.raw or not self.prefix or self.prefix.endswith("/"):
            yield from list_histories(s3, self.bucket, self.prefix)
            return
        alone = list_history(s3, self.bucket, self.prefix)
        if alone is not None:
            yield alone
        yield from list_histories(s3, self.bucket, f"{self.prefix}/")

    def current(self, s3: Server) -> Iterator[Entry]:
        """Every current object of the scope, in the same order, without version ids."""
        from artifact_store.history.listing import list_current
        from artifact_store.s3.operations import ListObjects, VersionPage

        if self.raw or not self.prefix or self.prefix.endswith("/"):
            yield from list_current(s3, self.bucket, self.prefix)
            return
        # In byte order the key itself is the first of all that begin with it.
        first: VersionPage = s3.call(ListObjects(self.bucket, self.prefix, max_keys=1))
        yield from (entry for entry in first.entries if entry.key == self.prefix)
        yield from list_current(s3, self.bucket, f"{self.prefix}/")


def parse_scope(address: str) -> Scope:
    """`s3://BUCKET[/PREFIX][*]` -> Scope. Raises UsageError, in one line with an example."""
    bucket, prefix = split_address(address)
    raw = prefix.endswith("*")
    return Scope(bucket, prefix[:-1] if raw else prefix, raw)


def check_destination(text: str) -> None:
    """Refuse what is meant as an address and would be read as a folder (S3://b, s3:/b, gs://b), and a pattern. Raises
    UsageError."""
    if re.match(r"s3:|[a-z][a-z0-9+.-]+://|arn:", text, re.IGNORECASE):
        _, prefix = split_address(text)
        if prefix.endswith("*"):
            raise UsageError(f"{text!r}: a * names many prefixes, and a destination is one; leave the * out")


def split_address(address: str) -> tuple[str, str]:
    """`s3://BUCKET[/REST]` -> (bucket, rest as it stands). Raises UsageError, in one line with an example."""
    if not address.startswith("s3://"):
        if match := re.match(r"(?!s3:)(?:[a-z][a-z0-9+.-]*://|arn:aws[\w-]*:s3:::)", address, re.IGNORECASE):
            raise UsageError(f"{address!r} is no s3:// address (it starts with {match[0]}); {EXAMPLE}")
        near = f"s3://{re.sub('^(s3:)?/*', '', address, flags=re.IGNORECASE) or 'BUCKET'}"
        raise UsageError(f"{address!r} does not start with s3://; did you mean {near}?")
    bucket, _, rest = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise UsageError(f"{address!r} names no bucket; {EXAMPLE}")
    # Python's way to keep bytes of a command line that are no UTF-8.
    if any("\ud800" <= character <= "\udfff" for character in rest):
        raise UsageError(f"{address!r} holds bytes that are no UTF-8, which every key of S3 is; {EXAMPLE}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]", bucket):
        raise UsageError(f"{bucket!r} is no bucket name; {EXAMPLE}")
    return bucket, rest
