"""Short cuts for restores against the server in memory."""

from pathlib import Path

from artifact_store.history.scope import parse_scope
from artifact_store.restore.apply import ApplyOptions, Report, apply
from artifact_store.restore.copying import CopyLimits
from artifact_store.restore.destination import IN_PLACE, Destination
from artifact_store.restore.plan import PlanOptions
from artifact_store.restore.planfile import Plan
from artifact_store.restore.planner import make_plan
from artifact_store.restore.verify import verify
from tests.restore.memory import NOW, MemoryS3

SMALL = ApplyOptions(limits=CopyLimits(single_copy=50, part_size=20))


def plan(
    s3: MemoryS3,
    folder: Path,
    *,
    address: str = "s3://bkt",
    second: int = 0,
    to: Destination = IN_PLACE,
    **options: object,
) -> Plan:
    """A plan to `second` seconds after NOW, in a file of its own."""
    path = folder / f"plan-{len(list(folder.iterdir()))}"
    chosen = PlanOptions(**options)
    return make_plan(s3, parse_scope(address), float(NOW + second), path, options=chosen, destination=to)


def restore(s3: MemoryS3, folder: Path, **arguments: object) -> Report:
    """Plan, apply and verify; everything must succeed."""
    made = plan(s3, folder, **arguments)
    report = apply(s3, made, options=SMALL)
    assert report.complete, report
    assert verify(s3, made, deep=True).wrong == ()
    return report


def later(s3: MemoryS3, seconds: int = 10) -> None:
    s3.clock += seconds
