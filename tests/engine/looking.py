"""What there is on an embedded AWS, and what the engine did, in plain values."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable
from typing import Any

from pulumi.automation import EngineEvent, Stack
from pulumi.automation.events import OpType

from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.table import Aws

SECOND = "us-west-2"


def client(aws: EmbeddedAws, service: str, region: str | None = None) -> Any:
    return Aws(aws.endpoint, aws.region)(service, region)


def everything(aws: EmbeddedAws) -> dict[str, list[str]]:
    """Names of all that a stack may leave behind, by sort; sorts of which there is nothing are left out."""
    ask = {
        "buckets": lambda: [b["Name"] for b in client(aws, "s3").list_buckets()["Buckets"]],
        "roles": lambda: [r["RoleName"] for r in client(aws, "iam").list_roles()["Roles"]],
    }
    for region in (aws.region, SECOND):
        ask |= _regional(aws, region)
    found = {sort: sorted(names()) for sort, names in ask.items()}
    return {sort: names for sort, names in found.items() if names}


def _regional(aws: EmbeddedAws, region: str) -> dict[str, Callable[[], Iterable[str]]]:
    backup, kms = client(aws, "backup", region), client(aws, "kms", region)
    sns, events = client(aws, "sns", region), client(aws, "events", region)
    ours = (a["AliasName"] for a in kms.list_aliases()["Aliases"])
    return {
        f"vaults in {region}": lambda: [v["BackupVaultName"] for v in backup.list_backup_vaults()["BackupVaultList"]],
        f"plans in {region}": lambda: [p["BackupPlanName"] for p in backup.list_backup_plans()["BackupPlansList"]],
        f"topics in {region}": lambda: [t["TopicArn"] for t in sns.list_topics()["Topics"]],
        f"rules in {region}": lambda: [r["Name"] for r in events.list_rules()["Rules"]],
        f"aliases in {region}": lambda: [a for a in ours if not a.startswith("alias/aws/")],
        f"keys in {region}": lambda: [
            k["KeyId"]
            for k in kms.list_keys()["Keys"]
            if not kms.describe_key(KeyId=k["KeyId"])["KeyMetadata"].get("DeletionDate")
        ],
    }


def unprotect(stack: Stack, kind: str) -> None:
    """Take the protection off every resource of a kind ("VaultLockConfiguration"), as a user would."""
    resources = stack.export_stack().deployment["resources"]
    for urn in [one["urn"] for one in resources if one["type"].endswith(f":{kind}")]:
        command = ["pulumi", "state", "unprotect", urn, "--yes", "--stack", stack.name, "--non-interactive"]
        subprocess.run(command, cwd=stack.workspace.work_dir, capture_output=True, text=True, check=True)


class Steps:
    """Hand it to the engine as on_event: which operation it ran on which resource, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        """(operation, resource name); components, the stack itself and what stayed the same are left out."""

    def __call__(self, event: EngineEvent) -> None:
        found = event.resource_pre_event
        if found is not None and found.metadata.type.startswith("aws:") and found.metadata.op != OpType.SAME:
            self.all.append((found.metadata.op.value, found.metadata.urn.split("::")[-1]))

    def of(self, name: str) -> list[str]:
        return [operation for operation, resource in self.all if resource == name]
