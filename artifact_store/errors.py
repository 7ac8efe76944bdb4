"""The errors a user can meet: one base, one subclass a cause, each with the exit code it ends the command with.

A message is one line: what is wrong, where, and what to do. Whoever prints it adds nothing but the word "error".
Exit codes: 2 the command line or config is wrong, 3 not all is done or proved, 4 refused or impossible: nothing was
written.
"""

from __future__ import annotations

from collections.abc import Iterable


class ArtifactStoreError(Exception):
    """Base of everything this package raises on purpose."""

    exit_code = 4


class UsageError(ArtifactStoreError, ValueError):
    """What the user typed cannot be understood: a time, an s3:// address, an option."""

    exit_code = 2


class ConfigError(ArtifactStoreError, ValueError):
    """The stack's config is wrong. Holds every fault found, one line each."""

    exit_code = 2

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class Refused(ArtifactStoreError):
    """The command could do harm, or cannot keep its promise, so it did nothing."""


class KeysFailed(ArtifactStoreError):
    """Not all was written, or not all could be proved; what was written stays. `failures` pairs each key that is known
    to have failed with its reason."""

    exit_code = 3

    def __init__(self, message: str, failures: Iterable[tuple[str, str]]) -> None:
        self.failures = tuple(failures)
        super().__init__(message)


class S3Error(ArtifactStoreError):
    """S3 answered with an error, or did not answer.

    status: HTTP status, 0 where no answer came. code: S3's error code ("NoSuchBucket", "SlowDown", …), or one of ours:
    "Unreachable", "TimedOut", "ConnectionReset", "NoCredentials". request_id: what AWS support asks for, "" if none.
    """

    def __init__(
        self, message: str, *, status: int = 0, code: str = "", request_id: str = "", operation: str = ""
    ) -> None:
        self.status, self.code, self.request_id, self.operation = status, code, request_id, operation
        super().__init__(message)
