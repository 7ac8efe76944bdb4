"""The provider plug-in over its own protocol, as the engine speaks it; what only the engine can show is in tests/engine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from artifact_store.embedded import provider
from artifact_store.embedded.cloud import EmbeddedAws

PLAN = "aws:backup/plan:Plan"
VAULT = "aws:backup/vault:Vault"
LOCK = "aws:backup/vaultLockConfiguration:VaultLockConfiguration"
RULES = [{"ruleName": "r", "targetVaultName": "vault", "lifecycle": {"deleteAfter": 7}}]


@pytest.fixture
def engine(cloud: EmbeddedAws) -> Iterator[Any]:
    server, port = provider.serve()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None)


def urn(token: str, name: str = "one") -> str:
    return f"urn:pulumi:dev::artifact-store::artifact-store:index:Parent${token}::{name}"


def struct(**values: Any) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def check(engine: Any, token: str, seed: bytes = b"seed", olds: Any = None, **news: Any) -> tuple[dict[str, Any], Any]:
    answer = engine.Check(
        provider_pb2.CheckRequest(urn=urn(token), news=struct(**news), olds=olds or struct(), randomSeed=seed)
    )
    return MessageToDict(answer.inputs), [(f.property, f.reason) for f in answer.failures]


def diff(engine: Any, token: str, old: dict[str, Any], new: dict[str, Any], ignored: tuple[str, ...] = ()) -> Any:
    return engine.Diff(
        provider_pb2.DiffRequest(
            urn=urn(token), id="x", old_inputs=struct(**old), news=struct(**new), ignoreChanges=ignored
        )
    )


def test_a_name_is_made_up_from_the_engines_seed_and_kept_afterwards(engine: Any) -> None:
    first, _ = check(engine, VAULT)
    assert first["name"].startswith("one-")
    assert check(engine, VAULT)[0] == first
    assert check(engine, VAULT, b"other")[0] != first
    assert check(engine, VAULT, b"other", struct(**first))[0] == first


def test_a_given_name_is_left_alone(engine: Any) -> None:
    assert check(engine, VAULT, name="mine")[0] == {"name": "mine"}


def test_check_names_every_fault(engine: Any) -> None:
    _, failures = check(engine, PLAN, tags={"a": "b"})
    assert failures == [
        ("tags", "the embedded AWS does not know tags of aws:backup/plan:Plan"),
        ("rules", "missing required argument rules"),
    ]


def test_a_changed_rule_is_an_update_and_a_changed_name_a_replacement(engine: Any) -> None:
    longer = [{**RULES[0], "lifecycle": {"deleteAfter": 8}}]
    updated = diff(engine, PLAN, {"name": "p", "rules": RULES}, {"name": "p", "rules": longer})
    assert (list(updated.diffs), list(updated.replaces)) == (["rules"], [])
    replaced = diff(engine, PLAN, {"name": "p", "rules": RULES}, {"name": "q", "rules": longer})
    assert (list(replaced.diffs), list(replaced.replaces)) == (["name", "rules"], ["name"])
    assert replaced.detailedDiff["name"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


@pytest.mark.parametrize("field", ["minRetentionDays", "maxRetentionDays", "changeableForDays", "backupVaultName"])
def test_every_argument_of_a_lock_replaces_it_and_the_engine_keeps_its_order(engine: Any, field: str) -> None:
    old = {"backupVaultName": "vault", "minRetentionDays": 7, "maxRetentionDays": 30, "changeableForDays": 3}
    found = diff(engine, LOCK, old, {**old, field: "other" if field == "backupVaultName" else 9})
    assert list(found.replaces) == [field]
    assert not found.deleteBeforeReplace


def test_what_means_the_same_is_no_difference_and_what_is_ignored_neither(engine: Any) -> None:
    same = diff(engine, VAULT, {"name": "v"}, {"name": "v", "forceDestroy": False})
    assert same.changes == provider_pb2.DiffResponse.DIFF_NONE
    ignored = diff(engine, LOCK, {"changeableForDays": 3}, {"changeableForDays": 4}, ("changeableForDays",))
    assert ignored.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_preview_makes_nothing_and_leaves_outputs_unknown(engine: Any, aws: Any) -> None:
    answer = engine.Create(provider_pb2.CreateRequest(urn=urn(VAULT), properties=struct(name="vault"), preview=True))
    found = MessageToDict(answer.properties)
    assert (answer.id, found["name"], found["arn"]) == ("", "vault", UNKNOWN)
    assert aws("backup").list_backup_vaults()["BackupVaultList"] == []


def test_an_input_still_unknown_after_the_preview_is_refused(engine: Any) -> None:
    with pytest.raises(grpc.RpcError, match="unknown inputs after the preview"):
        engine.Create(provider_pb2.CreateRequest(urn=urn(VAULT), properties=struct(name=UNKNOWN)))


def test_what_aws_answers_becomes_the_engines_error_text(engine: Any) -> None:
    wanted = struct(name="plan", rules=[{**RULES[0], "startWindow": 59}])
    with pytest.raises(grpc.RpcError, match="StartWindowMinutes must be at least 60"):
        engine.Create(provider_pb2.CreateRequest(urn=urn(PLAN), properties=wanted))


def test_an_unknown_type_is_an_error(engine: Any) -> None:
    with pytest.raises(grpc.RpcError, match="does not know the resource type aws:sqs/queue:Queue"):
        check(engine, "aws:sqs/queue:Queue")


def test_a_resource_that_is_gone_reads_as_nothing(engine: Any) -> None:
    answer = engine.Read(provider_pb2.ReadRequest(urn=urn(VAULT), id="gone", properties=struct(name="gone")))
    assert answer.id == ""


def test_the_plug_in_refuses_to_be_configured_for_another_machine(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://backup.us-east-1.amazonaws.com")
    with pytest.raises(grpc.RpcError, match="only on this machine"):
        engine.Configure(provider_pb2.ConfigureRequest(args=struct(region="us-east-1")))
