"""The arguments and options that commands share, once, and what they mean together."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from artifact_store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from artifact_store.restore.plan import PlanOptions
    from artifact_store.s3.client import S3

Address = Annotated[
    str,
    typer.Argument(
        metavar="s3://BUCKET[/PREFIX]",
        help="Where. PREFIX is a path: models/m-1 is never models/m-10; a trailing * makes it a raw prefix.",
        show_default=False,
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
    str,
    typer.Option(metavar="s3://OTHER[/PREFIX]|DIR", help="Write there instead; deletes nothing.", show_default=False),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="With --to: write over what differs there.")]
Thaw = Annotated[bool, typer.Option("--thaw", help="Ask S3 to make archived versions readable, and stop there.")]
Rate = Annotated[
    float | None, typer.Option(metavar="N", help="At most N requests a second.", min=0.1, show_default=False)
]
Deep = Annotated[bool, typer.Option("--deep", help="Verify by checksums; read where the server has none.")]


@dataclass(frozen=True)
class Target:
    """How to reach S3: what --profile, --region and --endpoint-url say."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None

    def connect(self, rate: float | None = None) -> S3:
        """The client. rate: at most this many requests a second."""
        from artifact_store.s3.client import connect

        return connect(profile=self.profile, region=self.region, endpoint_url=self.endpoint_url, rate=rate)

    def command(self, *words: str | Path) -> str:
        """A command of ours that reaches the same S3, to be copied into a shell."""
        options = (("--profile", self.profile), ("--region", self.region), ("--endpoint-url", self.endpoint_url))
        told = [word for name, value in options if value for word in (name, value)]
        return shlex.join(["artifact-store", *map(str, words), *told])


def plan_options(
    *,
    keep_new: bool = False,
    undelete: bool = False,
    settled: bool = False,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    to: str = "",
    overwrite: bool = False,
    allow_empty: bool = False,
) -> PlanOptions:
    """The planner's options. Raises UsageError where one has no meaning beside another."""
    from artifact_store.restore.plan import PlanOptions

    if overwrite and not to:
        raise UsageError("--overwrite belongs to --to; in place, what is there now stays as a version anyway")
    for name, given in (("--keep-new", keep_new), ("--undelete", undelete), ("--allow-empty", allow_empty)):
        if given and to:
            raise UsageError(f"{name} does not go with --to, which deletes nothing at all; leave {name} out")
    return PlanOptions(
        keep_new=keep_new,
        undelete=undelete,
        settled=settled,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        overwrite=overwrite,
        allow_empty=allow_empty,
    )


def now() -> float:
    """This machine's clock, seconds since the epoch; S3's own clock is asked before anything is planned."""
    return time.time()
