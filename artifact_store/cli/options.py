"""The arguments and options that commands share, once, and what they mean together.

Options that belong together are the fields of a dataclass; a command that is `grouped` takes the dataclass, and its
user the options.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from artifact_store.errors import UsageError
from artifact_store.history.instant import Moment, parse_moment
from artifact_store.history.scope import Scope, check_destination, parse_scope

if TYPE_CHECKING:
    from artifact_store.history.lock import Lock
    from artifact_store.restore.destination import Destination
    from artifact_store.restore.plan import PlanOptions
    from artifact_store.s3.client import S3

R = TypeVar("R")

Address = Annotated[
    str,
    typer.Argument(
        metavar="s3://BUCKET[/PREFIX]",
        help="Where. PREFIX is a path: models/m-1 is never models/m-10; a trailing * makes it a raw prefix.",
        show_default=False,
    ),
]
MaybeAddress = Annotated[
    str | None,
    typer.Argument(
        metavar="[s3://BUCKET[/PREFIX]]",
        help="Where. PREFIX is a path: models/m-1 is never models/m-10; a trailing * makes it a raw prefix.",
        show_default=False,
    ),
]
MaybeAt = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="T",
        help="The instant: 2026-05-04T13:30:00Z, @1777901400, or an age (90m, 2h).",
        show_default=False,
    ),
]
LockFile = Annotated[
    Path | None,
    typer.Option(
        "--lock", metavar="FILE", help="Take the versions that a lock file names, instead of an address and --at."
    ),
]
At = Annotated[
    str, typer.Option("--at", metavar="T", help="The instant: 2026-05-04T13:30:00Z, @1777901400, or an age (90m, 2h).")
]
Profile = Annotated[
    str | None, typer.Option(metavar="NAME", help="Profile of the aws configuration.", show_default=False)
]
Region = Annotated[str | None, typer.Option(metavar="NAME", help="AWS Region.", show_default=False)]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint-url", metavar="URL", help="Another S3 server.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Include = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Only keys that match, relative to PREFIX; repeatable.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="No keys that match, relative to PREFIX; repeatable.", show_default=False),
]
KeepNew = Annotated[bool, typer.Option("--keep-new", help="Leave keys that did not exist at T.")]
Undelete = Annotated[
    bool,
    typer.Option("--undelete", help="Bring keys back by removing their delete markers: cheaper, rewrites history."),
]
Settled = Annotated[
    bool, typer.Option("--settled", help="Where an upload may have been under way at T, take the version before.")
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Go on though nothing existed at T: hide everything.")]
To = Annotated[
    str | None,
    typer.Option(metavar="s3://OTHER[/PREFIX]|DIR", help="Write there instead; deletes nothing.", show_default=False),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="With --to: write over what differs there.")]
NearestComplete = Annotated[
    bool,
    typer.Option("--nearest-complete", help="Of a model not whole at T, take its newest whole save at or before T."),
]
AsIs = Annotated[bool, typer.Option("--as-is", help="Restore exactly T, also what is no whole model.")]
Thaw = Annotated[bool, typer.Option("--thaw", help="Ask S3 to make archived versions readable, and stop there.")]
Rate = Annotated[
    float | None, typer.Option(metavar="N", help="At most N requests a second.", min=0.1, show_default=False)
]
Deep = Annotated[bool, typer.Option("--deep", help="Verify by checksums; read where the server has none.")]


NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not look again afterwards.")]


@dataclass(frozen=True)
class Target:
    """How to reach S3."""

    profile: Profile = None
    region: Region = None
    endpoint_url: Endpoint = None

    def connect(self, rate: float | None = None) -> S3:
        """The client. rate: at most this many requests a second."""
        from artifact_store.s3.client import connect

        return connect(profile=self.profile, region=self.region, endpoint_url=self.endpoint_url, rate=rate)

    def command(self, *words: str | Path) -> str:
        """A command of ours that reaches the same S3, to be copied into a shell."""
        options = (("--profile", self.profile), ("--region", self.region), ("--endpoint-url", self.endpoint_url))
        told = [word for name, value in options if value for word in (name, value)]
        return shlex.join(["artifact-store", *map(str, words), *told])


@dataclass(frozen=True)
class Selection:
    """What a restore would change, whether it is only looked at or done."""

    keep_new: KeepNew = False
    include: Include = None
    exclude: Exclude = None
    settled: Settled = False

    def plan_options(self) -> PlanOptions:
        """The planner's options."""
        from artifact_store.restore.plan import PlanOptions

        return PlanOptions(
            keep_new=self.keep_new,
            settled=self.settled,
            include=tuple(self.include or ()),
            exclude=tuple(self.exclude or ()),
        )


@dataclass(frozen=True)
class Choices(Selection):
    """What a restore may do, and where it writes. Raises UsageError where one has no meaning beside another."""

    undelete: Undelete = False
    to: To = None
    overwrite: Overwrite = False
    allow_empty: AllowEmpty = False
    nearest_complete: NearestComplete = False
    as_is: AsIs = False

    def __post_init__(self) -> None:
        if self.nearest_complete and self.as_is:
            raise UsageError("--nearest-complete takes whole models only and --as-is whatever there was; leave one out")
        if self.to == "":
            raise UsageError(
                "--to is empty; name s3://OTHER[/PREFIX] or a folder, or leave --to out to restore in place"
            )
        if self.overwrite and not self.to:
            raise UsageError("--overwrite belongs to --to; in place, what is there now stays as a version anyway")
        deletes = (
            ("--keep-new", self.keep_new),
            ("--undelete", self.undelete),
            ("--allow-empty", self.allow_empty),
        )
        for name, given in deletes:
            if given and self.to:
                raise UsageError(f"{name} does not go with --to, which deletes nothing at all; leave {name} out")
        if self.to:
            check_destination(self.to)

    def plan_options(self) -> PlanOptions:
        """The planner's options."""
        from dataclasses import replace

        return replace(
            super().plan_options(),
            undelete=self.undelete,
            overwrite=self.overwrite,
            allow_empty=self.allow_empty,
            models="nearest" if self.nearest_complete else "as-is" if self.as_is else "whole",
        )

    def destination(self) -> Destination:
        """Where the restore writes."""
        from artifact_store.restore.destination import parse_destination

        return parse_destination(self.to or "")


@dataclass(frozen=True)
class Proof:
    """How what was done is proved. Raises UsageError for a contradiction."""

    no_verify: NoVerify = False
    deep: Deep = False

    def __post_init__(self) -> None:
        if self.no_verify and self.deep:
            raise UsageError("--deep says how to verify and --no-verify not to; leave one out")


@dataclass(frozen=True)
class Past:
    """What a user wants back: a place at a moment, or what a lock file names."""

    scope: Scope
    moment: Moment | None = None
    lock: Lock | None = None

    @classmethod
    def of(cls, address: str | None, at: str | None, file: Path | None) -> Past:
        """Raises UsageError where neither or both are named, or one cannot be read."""
        if file is None:
            if address is None or at is None:
                raise UsageError("name s3://BUCKET[/PREFIX] and --at T, or a lock file with --lock")
            return cls(parse_scope(address), parse_moment(at))
        if address is not None or at is not None:
            raise UsageError("--lock names place and versions itself; leave the address and --at out")
        from artifact_store.history.lock import read_lock

        lock = read_lock(file)
        return cls(lock.scope, lock=lock)

    def instant(self, now: float) -> float:
        """Seconds since the epoch. now: the server's clock."""
        return self.lock.instant if self.lock else self.moment.at(now) if self.moment else now


def grouped(command: Callable[..., R]) -> Callable[..., R]:
    """The command with each parameter that is a dataclass replaced by the dataclass's fields, as options."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    flat: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name not in groups:
            flat.append(parameter.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY))
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        flat += [
            Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=inner[one.name])
            for one in fields(groups[name])
        ]

    def run(**given: Any) -> R:
        for name, kind in groups.items():
            given[name] = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        return command(**given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in flat}
    run.__signature__ = Signature(flat)  # type: ignore[attr-defined]  # inspect's own name, which typer reads
    return run


def now() -> float:
    """This machine's clock, seconds since the epoch: for names of files, never to judge an instant by."""
    return time.time()
