"""The project's own program, for every stack file of the repository, as the engine would run it."""

from __future__ import annotations

import ast
import json
from typing import Any

import pulumi
import pytest

from artifact_store.promise import promise
from artifact_store.stack import of_files
from tests.recorder import ACCOUNT, PROJECT, Recorder, run_project

STACKS = sorted(path.name.split(".")[1] for path in PROJECT.glob("Pulumi.*.yaml"))


@pytest.fixture(scope="module", params=STACKS)
def found(request: pytest.FixtureRequest) -> Recorder:
    return run_project(request.param)


def policies(found: Recorder) -> dict[str, dict[str, Any]]:
    """Every policy document of a program by resource name."""
    documents = {}
    for resource in found.found.values():
        for field in ("policy", "assumeRolePolicy"):
            if field in resource.inputs:
                documents[resource.name] = json.loads(resource.inputs[field])
    return documents


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_the_repository_has_the_stacks_that_the_documentation_names() -> None:
    assert STACKS == ["dev", "prod"]


@pytest.mark.parametrize("stack", STACKS)
def test_every_stack_exports_what_a_restore_needs_and_the_promise_of_its_files(stack: str) -> None:
    outputs, copied = run_project(stack).outputs, stack == "prod"
    store = of_files(PROJECT, stack)[0]
    name = f"artifact-store-{stack}"
    assert outputs == {
        "bucket": "models",
        "bucketArn": "arn:aws:s3:::models",
        "region": "us-east-1",
        "vault": name,
        "vaultArn": f"arn:aws:backup:us-east-1:{ACCOUNT}:{name}",
        "planId": "plan-id",
        "backupRoleArn": f"arn:aws:iam:us-east-1:{ACCOUNT}:backup-role",
        "restoreRoleArn": f"arn:aws:iam:us-east-1:{ACCOUNT}:restore-role",
        "topicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:alerts",
        "promise": [row.export() for row in promise(store)],
        **({"secondVault": name} if copied else {}),
        **({"secondVaultArn": f"arn:aws:backup:us-west-2:{ACCOUNT}:{name}"} if copied else {}),
    }


@pytest.mark.parametrize(
    ("role", "policies"),
    [
        ("backup-role", {"AWSBackupServiceRolePolicyForBackup", "AWSBackupServiceRolePolicyForS3Backup"}),
        ("restore-role", {"AWSBackupServiceRolePolicyForRestores", "AWSBackupServiceRolePolicyForS3Restore"}),
    ],
)
def test_backups_run_as_one_role_and_test_restores_as_the_other(role: str, policies: set[str]) -> None:
    found = run_project("prod")
    attached = found.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    assert {a.inputs["policyArn"].rsplit("/", 1)[1] for a in attached if a.inputs["role"] == role} == policies
    arn = f"arn:aws:iam:us-east-1:{ACCOUNT}:{role}"
    user = {"backup-role": "plan-selection", "restore-role": "restore-test-selection"}[role]
    assert found[user].inputs["iamRoleArn"] == arn
    assert found[user].dependencies >= {f"{role}-general", f"{role}-s3"}


def test_the_bucket_and_nothing_else_is_backed_up_and_test_restored_from_the_first_vault() -> None:
    found = run_project("prod")
    assert found["plan-selection"].inputs["resources"] == ["arn:aws:s3:::models"]
    assert found["restore-test-selection"].inputs["protectedResourceArns"] == ["arn:aws:s3:::models"]
    vaults = found["restore-test"].inputs["recoveryPointSelection"]["includeVaults"]
    assert vaults == [f"arn:aws:backup:us-east-1:{ACCOUNT}:artifact-store-prod"]


def test_every_component_registers_its_outputs_and_parents_its_children(found: Recorder) -> None:
    assert set(found.components) <= found.completed
    assert all(component.type.startswith("artifact-store:index:") for component in found.components.values())
    for resource in found.found.values():
        assert resource.parent in found.components, f"{resource.name} has no component as its parent"
        assert resource.name == resource.parent or resource.name.startswith(f"{resource.parent}-")


def test_no_allow_has_a_wildcard_principal(found: Recorder) -> None:
    for name, document in policies(found).items():
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                principals = [p for kind in statement["Principal"].values() for p in listed(kind)]
                assert not any("*" in p for p in principals), name


def test_no_allow_has_a_wildcard_action(found: Recorder) -> None:
    for name, document in policies(found).items():
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                assert not any("*" in action for action in listed(statement["Action"])), name


def test_every_policy_document_is_whole_and_no_statement_is_empty_or_told_twice(found: Recorder) -> None:
    documents = policies(found)
    assert len(documents) >= 5
    for name, document in documents.items():
        assert document["Version"] == "2012-10-17", name
        assert document["Statement"], name
        as_text = [json.dumps(s, sort_keys=True) for s in document["Statement"]]
        assert len(set(as_text)) == len(as_text), name
        for statement in document["Statement"]:
            assert statement["Effect"] in ("Allow", "Deny"), name
            assert statement["Principal"], name
            assert listed(statement["Action"]), name


def test_services_publish_only_with_a_key_and_a_topic_that_name_them(found: Recorder) -> None:
    """A statement nobody needs would not be matched by the other side."""
    documents = policies(found)
    key = {p for s in documents["alerts-key"]["Statement"] for p in listed(s["Principal"].get("Service", []))}
    topic = set(listed(documents["alerts-policy"]["Statement"][0]["Principal"]["Service"]))
    assert key == topic == {"backup.amazonaws.com", "events.amazonaws.com"}


def test_no_source_condition_stops_the_messages_of_eventbridge(found: Recorder) -> None:
    """SNS does not support aws:SourceAccount and its like between EventBridge and an encrypted topic."""
    told = [
        (name, statement)
        for name, document in policies(found).items()
        for statement in document["Statement"]
        if "events.amazonaws.com" in json.dumps(statement["Principal"])
    ]
    assert {name for name, _ in told} == {"alerts-key", "alerts-policy"}
    assert not any("aws:source" in json.dumps(statement.get("Condition", {})).lower() for _, statement in told)


def test_dev_is_throw_away() -> None:
    found = run_project("dev")
    assert not any(r.protect or r.retained for r in found.found.values())
    assert found["models"].inputs["forceDestroy"] is True
    assert found["vault"].inputs["forceDestroy"] is True
    assert "secondVault" not in found.outputs or found.outputs["secondVault"] is None


def test_prod_is_protected_locked_copied_and_tested() -> None:
    found = run_project("prod")
    assert {r.name for r in found.found.values() if not r.protect} == {
        "alerts-email-28772038",
        "restore-test",
        "restore-test-selection",
        "vault-notifications",
    }
    assert {r.name for r in found.found.values() if r.retained} == {
        "alerts-key",
        "models",
        "models-key",
        "second-vault",
        "vault",
    }
    assert not any("forceDestroy" in r.inputs for r in found.found.values())
    assert found["vault-lock"].inputs["minRetentionDays"] == 7
    assert found["second-vault"].inputs == {"name": "artifact-store-prod", "region": "us-west-2"}
    assert found.outputs["secondVaultArn"] == f"arn:aws:backup:us-west-2:{ACCOUNT}:artifact-store-prod"
    assert [len(rule.get("copyActions", [])) for rule in found["plan"].inputs["rules"]] == [0, 1, 1, 1]
    assert len(found.of_type("aws:backup/restoreTestingPlan:RestoreTestingPlan")) == 1


def test_the_backup_starts_only_when_nothing_is_missing() -> None:
    assert run_project("prod")["plan-selection"].dependencies >= {
        "backup-role-general",
        "backup-role-s3",
        "models-notification",
        "models-versioning",
    }


def test_preview_prints_the_promise_and_the_warnings() -> None:
    found = run_project(
        "prod", vault={"encryption": "customer", "lock": {"mode": "governance", "minDays": 7, "maxDays": 2555}}
    )
    infos = [m for m in found.messages if m.startswith("INFO What can be got back from stack prod:\n")]
    assert len(infos) == 1
    assert "the bucket, continuous backup         any second     35 days back" in infos[0]
    warnings = [m for m in found.messages if m.startswith("WARNING")]
    assert warnings == [
        "WARNING vault.encryption: the lock does not protect a customer key: without the key every backup is unreadable; "
        "aws is safer"
    ]


def test_a_secret_address_stays_secret() -> None:
    found = run_project("dev", secrets=["alertEmails"], alertEmails=["who@example.com"])
    [subscription] = found.of_type("aws:sns/topicSubscription:TopicSubscription")
    assert (subscription.inputs["endpoint"], subscription.secrets) == ("who@example.com", {"endpoint"})
    assert "who@example.com" not in subscription.name


def test_any_other_secret_is_refused_since_the_promise_would_show_it() -> None:
    with pytest.raises(pulumi.RunError) as error:
        run_project("dev", secrets=["retention"])
    assert str(error.value).splitlines() == [
        "stack dev: retention: cannot be a secret, since it shows in the promise; only alertEmails can",
    ]


def test_bad_config_registers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[str] = []
    register = Recorder.RegisterResource
    monkeypatch.setattr(
        Recorder, "RegisterResource", lambda self, request: registered.append(request.type) or register(self, request)
    )
    with pytest.raises(pulumi.RunError) as error:
        run_project("dev", retention={"pointInTimeDays": 36}, bukcet={})
    assert set(registered) == {"pulumi:pulumi:Stack"}
    assert str(error.value).splitlines() == [
        "stack dev: bukcet: unknown key; did you mean bucket? (known here: throwAway, retention, schedule, bucket, vault, "
        "secondRegion, restoreTest, alertEmails, demands)",
        "stack dev: retention.pointInTimeDays: a continuous backup is kept 1 to 35 days, found 36; use dailyDays for longer",
    ]


def test_the_program_holds_no_logic_and_no_values_but_names() -> None:
    tree = ast.parse((PROJECT / "__main__.py").read_text())
    assert {type(node) for node in tree.body} == {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign}
    plain = (ast.Call, ast.keyword, ast.Attribute, ast.Name, ast.alias, ast.Constant, ast.List, ast.Tuple, ast.Starred)
    for node in ast.walk(tree):
        assert isinstance(node, (ast.Module, ast.expr_context, *{type(one) for one in tree.body}, *plain)), ast.dump(
            node
        )
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert all(isinstance(value, str) for value in values)
