"""What moto 5.2 lacks of AWS Backup and S3 for our resources, added operation by operation.

Owns selections, plan updates, vault policies and notifications, restore testing, the EventBridge flag of a bucket's
notifications, bucket policies against plain HTTP, and the refusals AWS makes: by its own API model (required members,
patterns, ranges, enums, read from botocore) and by what its documentation adds. Backup jobs and recovery points are not
here.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from moto.backup import urls
from moto.backup.exceptions import (
    AlreadyExistsException,
    InvalidParameterValueException,
    InvalidRequestException,
    ResourceNotFoundException,
)
from moto.backup.models import BackupBackend, Plan, Vault
from moto.backup.responses import BackupResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.access_control import IAMPolicy
from moto.iam.models import iam_backends
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.s3.responses import S3Response

Params = dict[str, Any]


class Shelf:
    """What one account and Region holds beside moto's own vaults and plans."""

    def __init__(self, backend: BackupBackend) -> None:
        self.backend = backend
        self.selections: dict[str, dict[str, Params]] = {}
        self.policies: dict[str, str] = {}
        self.notifications: dict[str, Params] = {}
        self.tests: dict[str, Params] = {}
        self.test_selections: dict[str, dict[str, Params]] = {}

    def vault(self, name: str) -> Vault:
        vault: Vault = _found(self.backend.vaults, name, "Backup vault")
        return vault

    def plan(self, plan_id: str) -> Plan:
        plan: Plan = _found(self.backend.plans, plan_id, "Backup plan")
        if plan.deletion_date is not None:
            raise ResourceNotFoundException(f"Backup plan {plan_id} not found")
        return plan

    def arn(self, rest: str) -> str:
        backend = self.backend
        return f"arn:{backend.partition}:backup:{backend.region_name}:{backend.account_id}:{rest}"


OPERATIONS: dict[str, Callable[[Shelf, Params], Params | None]] = {}


def operation(function: Callable[[Shelf, Params], Params | None]) -> Callable[[Shelf, Params], Params | None]:
    """An operation is named after the API's in snake case; None is an empty answer."""
    OPERATIONS[function.__name__] = function
    return function


def install() -> None:
    """Teach this process's moto. Doing it twice changes nothing."""
    if hasattr(BackupResponse, "create_backup_selection"):
        return
    for name, function in OPERATIONS.items():
        setattr(BackupResponse, name, _method(function))
    for name in ("create_backup_plan", "put_backup_vault_lock_configuration", "create_backup_vault"):
        _check_before(name)
    _refuse_before("delete_backup_vault", _vault_is_empty)
    _refuse_before("delete_backup_plan", _plan_has_no_selection)
    _refuse_before("get_backup_plan", _plan_is_there)
    _free_names_of_deleted_plans()
    urls.url_paths["{0}/.*"] = BackupResponse.dispatch
    _tell_eventbridge()
    _play_https()
    # moto 5.2 frees the memory of a key's last entry, and forgets that it may be a delete marker.
    FakeDeleteMarker.dispose = lambda self, garbage=False: None  # type: ignore[attr-defined]  # moto is mended in place


def _method(function: Callable[[Shelf, Params], Params | None]) -> Callable[[BackupResponse], Any]:
    def method(self: BackupResponse) -> Any:
        params = _params(self)
        _check(self, params)
        result = function(_shelf(self), params)
        return EmptyResult() if result is None else ActionResult(result)

    return method


def _shelf(response: BackupResponse) -> Shelf:
    # moto clears a backend's attributes on reset, and with them the shelf.
    shelf: Shelf = response.backup_backend.__dict__.setdefault("_artifact_store", Shelf(response.backup_backend))
    return shelf


def _params(response: BackupResponse) -> Params:
    response.parse_parameters(response.normalized_request)
    return dict(response.params)


def _found(place: Mapping[str, Any], key: str, what: str) -> Any:
    if key not in place:
        raise ResourceNotFoundException(f"{what} {key} not found")
    return place[key]


def _now() -> float:
    return float(int(time.time()))


@operation
def create_backup_selection(shelf: Shelf, params: Params) -> Params:
    plan_id = shelf.plan(params["BackupPlanId"]).backup_plan_id
    _assumable(shelf, params["BackupSelection"]["IamRoleArn"])
    wanted, mine = params["BackupSelection"], shelf.selections.setdefault(params["BackupPlanId"], {})
    if any(s["BackupSelection"]["SelectionName"] == wanted["SelectionName"] for s in mine.values()):
        raise AlreadyExistsException("Backup selection with the same name already exists")
    selection_id = str(uuid.uuid4())
    mine[selection_id] = {"BackupSelection": wanted, "SelectionId": selection_id, "BackupPlanId": plan_id}
    mine[selection_id]["CreationDate"] = _now()
    return mine[selection_id]


def _assumable(shelf: Shelf, arn: str) -> None:
    backend = shelf.backend
    roles = iam_backends[backend.account_id][backend.partition].roles.values()
    trust = next((role.assume_role_policy_document for role in roles if role.arn == arn), "")
    if "backup.amazonaws.com" not in trust:
        raise InvalidParameterValueException(f"IAM Role {arn} cannot be assumed by AWS Backup")


@operation
def get_backup_selection(shelf: Shelf, params: Params) -> Params:
    found: Params = _found(shelf.selections.get(params["BackupPlanId"], {}), params["SelectionId"], "Backup selection")
    return found


@operation
def list_backup_selections(shelf: Shelf, params: Params) -> Params:
    found = shelf.selections.get(params["BackupPlanId"], {}).values()
    return {"BackupSelectionsList": [{**s, "SelectionName": s["BackupSelection"]["SelectionName"]} for s in found]}


@operation
def delete_backup_selection(shelf: Shelf, params: Params) -> None:
    get_backup_selection(shelf, params)
    del shelf.selections[params["BackupPlanId"]][params["SelectionId"]]


@operation
def update_backup_plan(shelf: Shelf, params: Params) -> Params:
    old = shelf.plan(params["BackupPlanId"])
    new = Plan(params["BackupPlan"], old.creator_request_id, shelf.backend)
    new.backup_plan_id, new.backup_plan_arn, new.creation_date = (
        old.backup_plan_id,
        old.backup_plan_arn,
        old.creation_date,
    )
    shelf.backend.plans[old.backup_plan_id] = new
    return dict(new.to_dict())


@operation
def put_backup_vault_access_policy(shelf: Shelf, params: Params) -> None:
    shelf.vault(params["BackupVaultName"])
    try:
        json.loads(params["Policy"])
    except ValueError as error:
        raise InvalidParameterValueException("The policy is not JSON") from error
    shelf.policies[params["BackupVaultName"]] = params["Policy"]


@operation
def get_backup_vault_access_policy(shelf: Shelf, params: Params) -> Params:
    vault = shelf.vault(params["BackupVaultName"])
    policy = _found(shelf.policies, vault.backup_vault_name, "Policy of vault")
    return {
        "BackupVaultName": vault.backup_vault_name,
        "BackupVaultArn": vault.backup_vault_arn,
        "Policy": policy,
    }


@operation
def delete_backup_vault_access_policy(shelf: Shelf, params: Params) -> None:
    shelf.vault(params["BackupVaultName"])
    shelf.policies.pop(params["BackupVaultName"], None)


@operation
def put_backup_vault_notifications(shelf: Shelf, params: Params) -> None:
    shelf.vault(params["BackupVaultName"])
    shelf.notifications[params["BackupVaultName"]] = {
        "SNSTopicArn": params["SNSTopicArn"],
        "BackupVaultEvents": params["BackupVaultEvents"],
    }


@operation
def get_backup_vault_notifications(shelf: Shelf, params: Params) -> Params:
    vault = shelf.vault(params["BackupVaultName"])
    found = _found(shelf.notifications, vault.backup_vault_name, "Notifications of vault")
    return {"BackupVaultName": vault.backup_vault_name, "BackupVaultArn": vault.backup_vault_arn, **found}


@operation
def delete_backup_vault_notifications(shelf: Shelf, params: Params) -> None:
    shelf.vault(params["BackupVaultName"])
    shelf.notifications.pop(params["BackupVaultName"], None)


@operation
def create_restore_testing_plan(shelf: Shelf, params: Params) -> Params:
    wanted = dict(params["RestoreTestingPlan"])
    name = wanted["RestoreTestingPlanName"]
    if name in shelf.tests:
        raise AlreadyExistsException(f"Restore testing plan {name} already exists")
    wanted["RestoreTestingPlanArn"] = shelf.arn(f"restore-testing-plan:{name}-{uuid.uuid4()}")
    shelf.tests[name] = {"StartWindowHours": 24, "CreationTime": _now(), **wanted}
    return shelf.tests[name]


@operation
def get_restore_testing_plan(shelf: Shelf, params: Params) -> Params:
    return {"RestoreTestingPlan": _found(shelf.tests, params["RestoreTestingPlanName"], "Restore testing plan")}


@operation
def update_restore_testing_plan(shelf: Shelf, params: Params) -> Params:
    found: Params = _found(shelf.tests, params["RestoreTestingPlanName"], "Restore testing plan")
    found.update(params["RestoreTestingPlan"], UpdateTime=_now())
    return found


@operation
def delete_restore_testing_plan(shelf: Shelf, params: Params) -> None:
    name = params["RestoreTestingPlanName"]
    _found(shelf.tests, name, "Restore testing plan")
    if shelf.test_selections.get(name):
        raise InvalidRequestException("Restore testing selections must be deleted first")
    del shelf.tests[name]


@operation
def create_restore_testing_selection(shelf: Shelf, params: Params) -> Params:
    plan = _found(shelf.tests, params["RestoreTestingPlanName"], "Restore testing plan")
    wanted = dict(params["RestoreTestingSelection"])
    mine = shelf.test_selections.setdefault(params["RestoreTestingPlanName"], {})
    if wanted["RestoreTestingSelectionName"] in mine:
        raise AlreadyExistsException("Restore testing selection already exists")
    wanted["RestoreTestingPlanName"] = params["RestoreTestingPlanName"]
    wanted["RestoreTestingPlanArn"] = plan["RestoreTestingPlanArn"]
    mine[wanted["RestoreTestingSelectionName"]] = {"CreationTime": _now(), **wanted}
    return mine[wanted["RestoreTestingSelectionName"]]


@operation
def get_restore_testing_selection(shelf: Shelf, params: Params) -> Params:
    return {"RestoreTestingSelection": _test_selection(shelf, params)}


def _test_selection(shelf: Shelf, params: Params) -> Params:
    mine = shelf.test_selections.get(params["RestoreTestingPlanName"], {})
    found: Params = _found(mine, params["RestoreTestingSelectionName"], "Restore testing selection")
    return found


@operation
def update_restore_testing_selection(shelf: Shelf, params: Params) -> Params:
    found = _test_selection(shelf, params)
    found.update(params["RestoreTestingSelection"], UpdateTime=_now())
    return found


@operation
def delete_restore_testing_selection(shelf: Shelf, params: Params) -> None:
    get_restore_testing_selection(shelf, params)
    del shelf.test_selections[params["RestoreTestingPlanName"]][params["RestoreTestingSelectionName"]]


@operation
def list_tags(shelf: Shelf, params: Params) -> Params:
    return {"Tags": shelf.backend.list_tags(unquote(params["ResourceArn"]).rstrip("/"))}


def _check_before(name: str) -> None:
    """Let moto's own method run only on what AWS would accept."""
    inner = getattr(BackupResponse, name)

    def checked(self: BackupResponse) -> Any:
        _check(self, _params(self))
        return inner(self)

    setattr(BackupResponse, name, checked)


def _refuse_before(name: str, refuse: Callable[[Shelf, Params], None]) -> None:
    inner = getattr(BackupResponse, name)

    def guarded(self: BackupResponse) -> Any:
        refuse(_shelf(self), _params(self))
        return inner(self)

    setattr(BackupResponse, name, guarded)


def _vault_is_empty(shelf: Shelf, params: Params) -> None:
    name = params["BackupVaultName"]
    if shelf.vault(name).num_of_recovery_points:
        raise InvalidRequestException("Backup vault cannot be deleted because it contains recovery points")
    shelf.policies.pop(name, None)
    shelf.notifications.pop(name, None)


def _plan_is_there(shelf: Shelf, params: Params) -> None:
    shelf.plan(params["BackupPlanId"])


def _plan_has_no_selection(shelf: Shelf, params: Params) -> None:
    if shelf.selections.get(params["BackupPlanId"]):
        raise InvalidRequestException("Related backup plan selections must be deleted prior to backup plan deletion")


def _free_names_of_deleted_plans() -> None:
    inner = BackupBackend.create_backup_plan

    def create_backup_plan(self: BackupBackend, **arguments: Any) -> Plan:
        deleted = {i: p for i, p in self.plans.items() if p.deletion_date is not None}
        for plan_id in deleted:
            del self.plans[plan_id]
        return inner(self, **arguments)

    BackupBackend.create_backup_plan = create_backup_plan  # type: ignore[assignment, method-assign]  # moto is mended in place


def _tell_eventbridge() -> None:
    """moto keeps a bucket's EventBridge flag but does not tell it."""
    inner = S3Response.get_bucket_notification

    def get_bucket_notification(self: S3Response) -> Any:
        config = self.backend.get_bucket_notification_configuration(self.bucket_name)
        if config is None or config.event_bridge is None or config.topic or config.queue or config.cloud_function:
            return inner(self)
        self.data["Action"] = "GetBucketNotificationConfiguration"
        return self.serialized(ActionResult({"EventBridgeConfiguration": {}}))

    S3Response.get_bucket_notification = get_bucket_notification  # type: ignore[method-assign]  # moto is mended in place


PLAIN_HTTP = {"Bool": {"aws:SecureTransport": "false"}}


def _play_https() -> None:
    """moto takes a condition it cannot judge for one that holds, so a policy against plain HTTP would deny everything.
    Here the loopback stands for AWS's https."""
    inner = FakeBucket.get_permission

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        if self.policy is None:
            return inner(self, action, resource)
        policy = json.loads(self.policy)
        holding = [s for s in _listed(policy["Statement"]) if s.get("Condition") != PLAIN_HTTP]
        return IAMPolicy(json.dumps({**policy, "Statement": holding})).is_action_permitted(action, resource)

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]  # moto is mended in place


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def _model() -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model("backup")


def _check(response: BackupResponse, params: Params) -> None:
    """Refuse what AWS Backup would refuse."""
    name = response._get_action()  # noqa: SLF001 - moto offers no other way to the action's name
    shape = _model().operation_model(name).input_shape
    found = [*(_by_model(shape, params, name) if shape else ()), *_by_documentation(params)]
    if found:
        raise InvalidParameterValueException("; ".join(found))


def _by_model(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Differences between a value and botocore's model of it."""
    kind = shape.type_name
    if kind == "structure":
        yield from (f"{path}.{name} is missing" for name in shape.required_members if value.get(name) is None)
        for name, inner in value.items():
            if inner is not None and name in shape.members:
                yield from _by_model(shape.members[name], inner, f"{path}.{name}")
    elif kind == "list":
        for index, inner in enumerate(value):
            yield from _by_model(shape.member, inner, f"{path}[{index}]")
    elif kind == "string":
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"{path} {value!r} is not one of {', '.join(shape.enum)}"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path} {value!r} does not match {pattern}"
    size = value if kind in ("integer", "long") else len(value) if kind in ("string", "list", "map") else None
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if size is not None and (size < (low if low is not None else size) or size > (high if high is not None else size)):
        yield f"{path} is {size}, outside {low} to {high}"


def _by_documentation(params: Params) -> Iterator[str]:
    """What the AWS Backup guide says and the model does not."""
    for rule in (params.get("BackupPlan") or {}).get("Rules") or []:
        yield from _rule(rule)
    test, selection = params.get("RestoreTestingPlan") or {}, params.get("RestoreTestingSelection") or {}
    for name in (test.get("RestoreTestingPlanName"), selection.get("RestoreTestingSelectionName")):
        if name is not None and not re.fullmatch(r"[A-Za-z0-9_]{1,50}", name):
            yield f"{name!r} is not 1 to 50 letters, digits and underscores"
    yield from _schedule(test.get("ScheduleExpression"))
    low, high = params.get("MinRetentionDays"), params.get("MaxRetentionDays")
    if low and high and low > high:
        yield f"MinRetentionDays {low} is greater than MaxRetentionDays {high}"
    if (params.get("ChangeableForDays") or 3) < 3:
        yield "ChangeableForDays must be at least 3"


def _rule(rule: Params) -> Iterator[str]:
    name, own = rule.get("RuleName"), rule.get("Lifecycle") or {}
    for life in (own, *(c.get("Lifecycle") or {} for c in rule.get("CopyActions") or [])):
        cold, days = life.get("MoveToColdStorageAfterDays"), life.get("DeleteAfterDays")
        if cold and days and days < cold + 90:
            yield (
                f"Error in rule {name} : Invalid lifecycle. DeleteAfterDays cannot be less than 90 days apart from "
                "MoveToColdStorageAfterDays"
            )
    if rule.get("EnableContinuousBackup"):
        if not 1 <= (own.get("DeleteAfterDays") or 0) <= 35:
            yield f"Error in rule {name} : Lifecycle must be 1 to 35 days for continuous backup"
        if own.get("MoveToColdStorageAfterDays"):
            yield f"Error in rule {name} : Invalid lifecycle. MoveToColdStorageAfterDays is unavailable"
    if (rule.get("StartWindowMinutes") or 60) < 60:
        yield f"Error in rule {name} : StartWindowMinutes must be at least 60"
    yield from _schedule(rule.get("ScheduleExpression"))


def _schedule(text: str | None) -> Iterator[str]:
    from artifact_store.cron import parse

    if text is not None:
        try:
            parse(text)
        except ValueError as error:
            yield f"Invalid schedule expression: {error}"
