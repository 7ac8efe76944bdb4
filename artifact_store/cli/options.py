"""The options that commands share, once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from artifact_store.s3.client import S3

Address = Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", help="Where; a trailing * makes PREFIX raw.")]
At = Annotated[str, typer.Option("--at", metavar="T", help="The instant: ISO 8601 with zone, @EPOCH, or an age (2h).")]
Profile = Annotated[str | None, typer.Option(help="Named profile of the aws configuration.", show_default=False)]
Region = Annotated[str | None, typer.Option(help="AWS Region.", show_default=False)]
Endpoint = Annotated[str | None, typer.Option("--endpoint-url", help="Another S3 endpoint.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on stdout.")]
Include = Annotated[
    list[str] | None, typer.Option(help="Only keys that match this glob (repeatable).", show_default=False)
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="No key that matches this glob (repeatable).", show_default=False)
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
To = Annotated[str, typer.Option(metavar="s3://OTHER[/PREFIX]|DIR", help="Write there instead; deletes nothing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="With --to: write over what differs there.")]
Thaw = Annotated[bool, typer.Option("--thaw", help="Ask S3 to make archived versions readable.")]
Rate = Annotated[float | None, typer.Option(help="At most this many requests a second.", min=0.1, show_default=False)]
Deep = Annotated[bool, typer.Option("--deep", help="Compare checksums; read where the server has none.")]


@dataclass(frozen=True)
class Target:
    """How to reach S3: what --profile, --region and --endpoint-url say."""

    profile: str | None
    region: str | None
    endpoint_url: str | None
    rate: float | None = None

    def connect(self) -> S3:
        from artifact_store.s3.client import connect

        return connect(profile=self.profile, region=self.region, endpoint_url=self.endpoint_url, rate=self.rate)


def now() -> float:
    """This machine's clock, seconds since the epoch; S3's own clock is asked before anything is planned."""
    return time.time()
