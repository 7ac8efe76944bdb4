"""What is said of counts reads well for one, for some and for all."""

from pathlib import Path

import pytest

from artifact_store.cli import summary
from artifact_store.restore.destination import IN_PLACE, ToFolder
from artifact_store.restore.plan import Action, Current, PlanOptions, Reason, Step
from artifact_store.restore.planfile import Header, write_plan

SAME = "with the same content; metadata and tags are not compared"


@pytest.mark.parametrize(
    ("kept", "same", "told"),
    [
        (1, 0, "         1 key  as it is"),
        (1, 1, f"         1 key  as it is: it was rewritten since {SAME}"),
        (3, 0, "        3 keys  as they are"),
        (3, 1, f"        3 keys  as they are; 1 of them was rewritten since {SAME}"),
        (3, 2, f"        3 keys  as they are; 2 of them were rewritten since {SAME}"),
        (3, 3, f"        3 keys  as they are: all of them were rewritten since {SAME}"),
    ],
)
@pytest.mark.parametrize("destination", [IN_PLACE, ToFolder(Path("x"))])
def test_keys_that_are_kept_are_told_with_why(tmp_path, capsys, kept, same, told, destination):
    reasons = [Reason.SAME_ETAG] * same + [Reason.SAME_VERSION] * (kept - same)
    steps = (
        Step(Action.KEEP, f"k{number}", reason, "v", "e", 1, current=Current("w", "e", 1), target=f"k{number}")
        for number, reason in enumerate(reasons)
    )
    header = Header("b", "", False, 0.0, 0.0, "1", PlanOptions(), destination)
    summary.explain(write_plan(tmp_path / "plan", header, steps))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("  keep")]
    assert line == "  keep" + " " * 5 + (
        told.replace("rewritten since", "there already") if destination != IN_PLACE else told
    )
