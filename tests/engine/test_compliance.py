"""A compliance lock, which nobody may touch once its days are over."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandError

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import Steps, client, unprotect

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
        assert steps.of("vault-lock") == []
        with pytest.raises(CommandError, match="because it is protected"):
            stack.destroy()
        assert locked(aws) == before


def test_governance_becomes_compliance_only_after_the_lock_is_unprotected_and_then_truly_does(aws: EmbeddedAws) -> None:
    """Takes 10 s: five runs of the engine on one stack."""
    aws.reset()
    governance = {"mode": "governance", "minDays": 7, "maxDays": 2555}
    with deploy.engine(PROJECT, "prod", aws, {"artifact-store:vault": {"lock": governance}}) as stack:
        stack.up()
        assert "LockDate" not in locked(aws)
        deploy.configure(stack, {"artifact-store:vault": {"lock": LOCK}})
        with pytest.raises(CommandError, match=r"unable to replace resource.*vault-lock"):
            stack.up()
        assert "LockDate" not in locked(aws)
        unprotect(stack, "VaultLockConfiguration")
        steps = Steps()
        stack.up(on_event=steps)
        assert steps.of("vault-lock") == ["delete-replaced", "replace", "create-replacement"]
        assert "LockDate" in locked(aws)
        stack.refresh()
        again = Steps()
        stack.up(on_event=again)
        assert again.of("vault-lock") == []


def locked(aws: EmbeddedAws) -> dict[str, object]:
    found = client(aws, "backup").describe_backup_vault(BackupVaultName="artifact-store-prod")
    return {k: v for k, v in found.items() if k in ("Locked", "MinRetentionDays", "MaxRetentionDays", "LockDate")}
