"""A compliance lock, which nobody may touch once its days are over."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandError

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import Steps, client

LOCK = {"mode": "compliance", "minDays": 7, "maxDays": 2555, "coolingOffDays": 3, "confirm": "artifact-store-prod"}


def test_a_compliance_lock_survives_refresh_up_and_destroy_untouched(aws: EmbeddedAws) -> None:
    """Takes 8 s: five runs of the engine on one stack.

    Read back, the lock has lost its cooling-off days; an engine that acted on that would replace it.
    """
    with deploy.engine(PROJECT, "prod", aws, {"artifact-store:vault": {"lock": LOCK}}) as stack:
        stack.up()
        before = locked(aws)
        assert (before["Locked"], before["MinRetentionDays"], before["MaxRetentionDays"]) == (True, 7, 2555)
        stack.refresh()
        steps = Steps()
        stack.up(on_event=steps)
        assert [operation for operation in steps.of("vault-lock") if operation != "update"] == []
        with pytest.raises(CommandError, match="because it is protected"):
            stack.destroy()
        assert locked(aws) == before


def locked(aws: EmbeddedAws) -> dict[str, object]:
    found = client(aws, "backup").describe_backup_vault(BackupVaultName="artifact-store-prod")
    return {k: v for k, v in found.items() if k in ("Locked", "MinRetentionDays", "MaxRetentionDays", "LockDate")}
