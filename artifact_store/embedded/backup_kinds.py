"""Vaults, plans, selections and restore tests, as Pulumi's AWS provider names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from artifact_store.embedded.table import Aws, Kind, Name, Props, Shape, number, told

GONE = ("ResourceNotFoundException",)
RULE = {
    "ruleName": "RuleName",
    "targetVaultName": "TargetBackupVaultName",
    "schedule": "ScheduleExpression",
    "scheduleExpressionTimezone": "ScheduleExpressionTimezone",
    "startWindow": "StartWindowMinutes",
    "completionWindow": "CompletionWindowMinutes",
    "enableContinuousBackup": "EnableContinuousBackup",
}
DEFAULTS = {"startWindow": 60, "completionWindow": 180, "scheduleExpressionTimezone": "Etc/UTC"}
"""Of a rule, set by Pulumi's provider and not by AWS; a program that leaves them out reads them back left out."""
LIFE = {"deleteAfter": "DeleteAfterDays", "coldStorageAfter": "MoveToColdStorageAfterDays"}
LIFE_SHAPE: Shape = dict.fromkeys(LIFE)
COPY_SHAPE: Shape = {"destinationVaultArn": None, "lifecycle": LIFE_SHAPE}


def renamed(value: Props, names: dict[str, str]) -> Props:
    return {names[k]: number(v) for k, v in value.items() if k in names and v is not None}


def _rule_out(rule: Props) -> Props:
    made = renamed({**DEFAULTS, **rule}, RULE)
    if rule.get("lifecycle"):
        made["Lifecycle"] = renamed(rule["lifecycle"], LIFE)
    if rule.get("copyActions"):
        made["CopyActions"] = [
            {
                "DestinationBackupVaultArn": copy["destinationVaultArn"],
                **({"Lifecycle": renamed(copy["lifecycle"], LIFE)} if copy.get("lifecycle") else {}),
            }
            for copy in rule["copyActions"]
        ]
    return made


def _rule_in(rule: Props, known: Props | None) -> Props:
    found = renamed(rule, {v: k for k, v in RULE.items()})
    made = {k: v for k, v in found.items() if known is None or k in known or v != DEFAULTS.get(k)}
    back = {v: k for k, v in LIFE.items()}
    if rule.get("Lifecycle"):
        made["lifecycle"] = renamed(rule["Lifecycle"], back)
    if rule.get("CopyActions"):
        made["copyActions"] = [
            {
                "destinationVaultArn": copy["DestinationBackupVaultArn"],
                "lifecycle": renamed(copy.get("Lifecycle") or {}, back),
            }
            for copy in rule["CopyActions"]
        ]
    return made


def _create_vault(aws: Aws, props: Props) -> str:
    key = {"EncryptionKeyArn": props["kmsKeyArn"]} if props.get("kmsKeyArn") else {}
    aws("backup", props["region"]).create_backup_vault(BackupVaultName=props["name"], **key)
    return str(props["name"])


def _look_vault(aws: Aws, name: str, props: Props) -> Props | None:
    found = told(lambda: aws("backup", props["region"]).describe_backup_vault(BackupVaultName=name), *GONE)
    if found is None:
        return None
    return {
        "name": name,
        "arn": found["BackupVaultArn"],
        "kmsKeyArn": found.get("EncryptionKeyArn"),
        "recoveryPoints": found.get("NumberOfRecoveryPoints", 0),
    }


def _of_vault(
    token: str,
    required: set[str],
    optional: set[str],
    replaces: set[str],
    put: Callable[[Any, str, Props], Any],
    look: Callable[[Any, str], Props | None],
    delete: Callable[[Any, str], Any],
) -> Kind:
    """A setting of a vault: AWS knows it by the vault's name alone, so a second one takes the first one's place. Where
    every input replaces it there is nothing to update, as in Pulumi's provider."""

    def create(aws: Aws, props: Props) -> str:
        put(aws("backup", props["region"]), props["backupVaultName"], props)
        return str(props["backupVaultName"])

    def read(aws: Aws, name: str, props: Props) -> Props | None:
        backup = aws("backup", props["region"])
        found = told(lambda: look(backup, name), *GONE)
        return None if found is None else {"backupVaultName": name, **found}

    return Kind(
        token=token,
        inputs=frozenset({"backupVaultName", *required, *optional}),
        required=frozenset({"backupVaultName", *required}),
        replaces=frozenset({"backupVaultName", *replaces}),
        create=create,
        look=read,
        update=(
            None
            if replaces >= required | optional
            else lambda aws, name, props: put(aws("backup", props["region"]), name, props)
        ),
        delete=lambda aws, name, props: delete(aws("backup", props["region"]), name),
        imports=lambda name: (name, {"backupVaultName": name}),
    )


LOCK = {
    "minRetentionDays": "MinRetentionDays",
    "maxRetentionDays": "MaxRetentionDays",
    "changeableForDays": "ChangeableForDays",
}


def _look_lock(backup: Any, name: str) -> Props | None:
    found = backup.describe_backup_vault(BackupVaultName=name)
    if not found.get("Locked"):
        return None
    # AWS does not tell the cooling-off days again, and the provider takes that for none
    # (hashicorp/terraform-provider-aws#46876).
    return {
        "minRetentionDays": found.get("MinRetentionDays"),
        "maxRetentionDays": found.get("MaxRetentionDays"),
        "changeableForDays": None,
    }


def _create_plan(aws: Aws, props: Props) -> str:
    made = aws("backup", props["region"]).create_backup_plan(BackupPlan=_plan(props))
    return str(made["BackupPlanId"])


def _plan(props: Props) -> Props:
    return {"BackupPlanName": props["name"], "Rules": [_rule_out(rule) for rule in props["rules"]]}


def _look_plan(aws: Aws, plan_id: str, props: Props) -> Props | None:
    found = told(lambda: aws("backup", props["region"]).get_backup_plan(BackupPlanId=plan_id), *GONE)
    if found is None:
        return None
    plan = found["BackupPlan"]
    known = {rule["ruleName"]: rule for rule in props.get("rules", [])}
    return {
        "name": plan["BackupPlanName"],
        "rules": [_rule_in(rule, known.get(rule["RuleName"])) for rule in plan["Rules"]],
        "arn": found["BackupPlanArn"],
        "version": found["VersionId"],
    }


def _create_selection(aws: Aws, props: Props) -> str:
    wanted = {"SelectionName": props["name"], "IamRoleArn": props["iamRoleArn"], "Resources": props["resources"]}
    made = aws("backup", props["region"]).create_backup_selection(BackupPlanId=props["planId"], BackupSelection=wanted)
    return str(made["SelectionId"])


def _look_selection(aws: Aws, selection_id: str, props: Props) -> Props | None:
    if not props.get("planId"):
        return None
    backup = aws("backup", props["region"])
    ask = {"BackupPlanId": props["planId"], "SelectionId": selection_id}
    found = told(lambda: backup.get_backup_selection(**ask), *GONE)
    if found is None:
        return None
    selection = found["BackupSelection"]
    return {
        "name": selection["SelectionName"],
        "planId": props["planId"],
        "iamRoleArn": selection["IamRoleArn"],
        "resources": selection["Resources"],
    }


def _import_selection(import_id: str) -> tuple[str, Props]:
    plan_id, _, selection_id = import_id.partition("|")
    return selection_id, {"planId": plan_id}


def _test_out(props: Props) -> Props:
    points = props["recoveryPointSelection"]
    return {
        "RestoreTestingPlanName": props["name"],
        "ScheduleExpression": props["scheduleExpression"],
        **renamed(
            props,
            {"scheduleExpressionTimezone": "ScheduleExpressionTimezone", "startWindowHours": "StartWindowHours"},
        ),
        "RecoveryPointSelection": {
            "Algorithm": points["algorithm"],
            "IncludeVaults": points["includeVaults"],
            "RecoveryPointTypes": points["recoveryPointTypes"],
            **renamed(points, {"selectionWindowDays": "SelectionWindowDays"}),
        },
    }


def _create_test(aws: Aws, props: Props) -> str:
    aws("backup", props["region"]).create_restore_testing_plan(RestoreTestingPlan=_test_out(props))
    return str(props["name"])


def _look_test(aws: Aws, name: str, props: Props) -> Props | None:
    backup = aws("backup", props["region"])
    found = told(lambda: backup.get_restore_testing_plan(RestoreTestingPlanName=name), *GONE)
    if found is None:
        return None
    plan = found["RestoreTestingPlan"]
    points = plan["RecoveryPointSelection"]
    return {
        "name": name,
        "arn": plan["RestoreTestingPlanArn"],
        "scheduleExpression": plan["ScheduleExpression"],
        "scheduleExpressionTimezone": plan.get("ScheduleExpressionTimezone"),
        "startWindowHours": plan["StartWindowHours"],
        "recoveryPointSelection": {
            "algorithm": points["Algorithm"],
            "includeVaults": points["IncludeVaults"],
            "recoveryPointTypes": points["RecoveryPointTypes"],
            "selectionWindowDays": points.get("SelectionWindowDays"),
        },
    }


def _update_test(aws: Aws, name: str, props: Props) -> None:
    wanted = {k: v for k, v in _test_out(props).items() if k != "RestoreTestingPlanName"}
    aws("backup", props["region"]).update_restore_testing_plan(RestoreTestingPlanName=name, RestoreTestingPlan=wanted)


def _tested(props: Props) -> Props:
    return {
        "IamRoleArn": props["iamRoleArn"],
        "ProtectedResourceArns": props.get("protectedResourceArns") or [],
        "RestoreMetadataOverrides": props.get("restoreMetadataOverrides") or {},
        **renamed(props, {"validationWindowHours": "ValidationWindowHours"}),
    }


def _create_tested(aws: Aws, props: Props) -> str:
    aws("backup", props["region"]).create_restore_testing_selection(
        RestoreTestingPlanName=props["restoreTestingPlanName"],
        RestoreTestingSelection={
            "RestoreTestingSelectionName": props["name"],
            "ProtectedResourceType": props["protectedResourceType"],
            **_tested(props),
        },
    )
    return f"{props['name']}:{props['restoreTestingPlanName']}"


def _pair(resource_id: str) -> Props:
    name, _, plan = resource_id.partition(":")
    return {"RestoreTestingPlanName": plan, "RestoreTestingSelectionName": name}


def _look_tested(aws: Aws, resource_id: str, props: Props) -> Props | None:
    backup = aws("backup", props["region"])
    found = told(lambda: backup.get_restore_testing_selection(**_pair(resource_id)), *GONE)
    if found is None:
        return None
    selection = found["RestoreTestingSelection"]
    return {
        "name": selection["RestoreTestingSelectionName"],
        "restoreTestingPlanName": selection["RestoreTestingPlanName"],
        "iamRoleArn": selection["IamRoleArn"],
        "protectedResourceType": selection["ProtectedResourceType"],
        "protectedResourceArns": selection.get("ProtectedResourceArns"),
        "restoreMetadataOverrides": selection.get("RestoreMetadataOverrides"),
        "validationWindowHours": selection.get("ValidationWindowHours"),
    }


SELECTION = frozenset({"name", "planId", "iamRoleArn", "resources"})
TEST = frozenset(
    {"name", "scheduleExpression", "scheduleExpressionTimezone", "startWindowHours", "recoveryPointSelection"}
)
TESTED = frozenset(
    {
        "name",
        "restoreTestingPlanName",
        "iamRoleArn",
        "protectedResourceType",
        "protectedResourceArns",
        "restoreMetadataOverrides",
        "validationWindowHours",
    }
)
KINDS = (
    Kind(
        token="aws:backup/vault:Vault",
        inputs=frozenset({"name", "kmsKeyArn", "forceDestroy"}),
        required=frozenset(),
        replaces=frozenset({"name", "kmsKeyArn"}),
        create=_create_vault,
        look=_look_vault,
        update=lambda aws, name, props: None,
        delete=lambda aws, name, props: aws("backup", props["region"]).delete_backup_vault(BackupVaultName=name),
        computed=("arn", "recoveryPoints"),
        name=Name("name", 50),
        imports=lambda name: (name, {"name": name}),
    ),
    _of_vault(
        "aws:backup/vaultPolicy:VaultPolicy",
        {"policy"},
        set(),
        set(),
        lambda backup, name, props: backup.put_backup_vault_access_policy(BackupVaultName=name, Policy=props["policy"]),
        lambda backup, name: {"policy": backup.get_backup_vault_access_policy(BackupVaultName=name)["Policy"]},
        lambda backup, name: backup.delete_backup_vault_access_policy(BackupVaultName=name),
    ),
    _of_vault(
        "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
        set(),
        set(LOCK),
        set(LOCK),
        lambda backup, name, props: backup.put_backup_vault_lock_configuration(
            BackupVaultName=name, **renamed(props, LOCK)
        ),
        _look_lock,
        lambda backup, name: backup.delete_backup_vault_lock_configuration(BackupVaultName=name),
    ),
    _of_vault(
        "aws:backup/vaultNotifications:VaultNotifications",
        {"snsTopicArn", "backupVaultEvents"},
        set(),
        {"snsTopicArn", "backupVaultEvents"},
        lambda backup, name, props: backup.put_backup_vault_notifications(
            BackupVaultName=name, SNSTopicArn=props["snsTopicArn"], BackupVaultEvents=props["backupVaultEvents"]
        ),
        lambda backup, name: {
            "snsTopicArn": (f := backup.get_backup_vault_notifications(BackupVaultName=name))["SNSTopicArn"],
            "backupVaultEvents": f["BackupVaultEvents"],
        },
        lambda backup, name: backup.delete_backup_vault_notifications(BackupVaultName=name),
    ),
    Kind(
        token="aws:backup/plan:Plan",
        inputs=frozenset({"name", "rules"}),
        required=frozenset({"rules"}),
        shapes={"rules": {**dict.fromkeys(RULE), "lifecycle": LIFE_SHAPE, "copyActions": COPY_SHAPE}},
        replaces=frozenset({"name"}),
        create=_create_plan,
        look=_look_plan,
        update=lambda aws, plan_id, props: aws("backup", props["region"]).update_backup_plan(
            BackupPlanId=plan_id, BackupPlan=_plan(props)
        ),
        delete=lambda aws, plan_id, props: aws("backup", props["region"]).delete_backup_plan(BackupPlanId=plan_id),
        computed=("arn", "version"),
        name=Name("name", 50),
    ),
    Kind(
        token="aws:backup/selection:Selection",
        inputs=SELECTION,
        required=frozenset({"planId", "iamRoleArn"}),
        replaces=SELECTION,
        create=_create_selection,
        look=_look_selection,
        delete=lambda aws, selection_id, props: aws("backup", props["region"]).delete_backup_selection(
            BackupPlanId=props["planId"], SelectionId=selection_id
        ),
        name=Name("name", 50),
        imports=_import_selection,
    ),
    Kind(
        token="aws:backup/restoreTestingPlan:RestoreTestingPlan",
        inputs=TEST,
        required=frozenset({"scheduleExpression", "recoveryPointSelection"}),
        shapes={
            "recoveryPointSelection": dict.fromkeys(
                ("algorithm", "includeVaults", "recoveryPointTypes", "selectionWindowDays")
            )
        },
        replaces=frozenset({"name"}),
        create=_create_test,
        look=_look_test,
        update=_update_test,
        delete=lambda aws, name, props: aws("backup", props["region"]).delete_restore_testing_plan(
            RestoreTestingPlanName=name
        ),
        computed=("arn",),
        imports=lambda name: (name, {"name": name}),
    ),
    Kind(
        token="aws:backup/restoreTestingSelection:RestoreTestingSelection",
        inputs=TESTED,
        required=frozenset({"iamRoleArn", "protectedResourceType", "restoreTestingPlanName"}),
        replaces=frozenset({"name", "protectedResourceType", "restoreTestingPlanName"}),
        create=_create_tested,
        look=_look_tested,
        update=lambda aws, resource_id, props: aws("backup", props["region"]).update_restore_testing_selection(
            **_pair(resource_id), RestoreTestingSelection=_tested(props)
        ),
        delete=lambda aws, resource_id, props: aws("backup", props["region"]).delete_restore_testing_selection(
            **_pair(resource_id)
        ),
    ),
)
