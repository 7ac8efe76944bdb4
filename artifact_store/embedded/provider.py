"""The provider plug-in `pulumi-resource-aws` for the embedded AWS: what the Pulumi engine talks to over gRPC.

Owns the protocol: checks, diffs with replacement, unknowns at preview, names made up, secrets kept secret by leaving
their marking to the engine. Makes nothing itself (see `table`) and refuses any endpoint that is not on this machine.
Run as a program it prints its port on the first line, as the engine expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent import futures
from typing import Any

import grpc
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc
from pulumi.runtime.rpc import UNKNOWN

from artifact_store.embedded import table
from artifact_store.embedded.table import Aws, Kind, Props
from artifact_store.errors import ArtifactStoreError

VERSION = "7.51.1"
"""The provider release whose resource types and inputs are played."""


def serve() -> tuple[grpc.Server, int]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def main() -> None:
    server, port = serve()
    print(port, flush=True)
    server.wait_for_termination()


def _plain(message: Any) -> Props:
    """A protobuf struct as Python values; absent and null are left out."""
    values: Props = MessageToDict(message) if message is not None else {}
    return {k: v for k, v in values.items() if v is not None and not k.startswith("__")}


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update({k: v for k, v in values.items() if v is not None})
    return made


def _kind(urn: str) -> Kind:
    return table.find(urn.split("::")[2].rsplit("$", 1)[-1])


def _unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_unknown, value.values()))
    return any(map(_unknown, value)) if isinstance(value, list) else value == UNKNOWN


def _guarded(method: Callable[[Provider, Any, grpc.ServicerContext], Any]) -> Any:
    """AWS's refusals and ours become the engine's error text."""

    def run(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except (ArtifactStoreError, BotoCoreError, ClientError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))

    return run


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Names and messages are those of the engine's protocol (pulumi/provider.proto)."""

    def __init__(self) -> None:
        self._aws: Aws | None = None

    @property
    def aws(self) -> Aws:
        if self._aws is None:
            self._aws = table.from_environment(None)
        return self._aws

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    @_guarded
    def Configure(self, request: Any, context: Any) -> Any:
        self._aws = table.from_environment(_plain(request.args).get("region"))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_guarded
    def Invoke(self, request: Any, context: Any) -> Any:
        return provider_pb2.InvokeResponse(**{"return": _struct(table.invoke(self.aws, request.tok))})

    @_guarded
    def Check(self, request: Any, context: Any) -> Any:
        kind, news, olds = _kind(request.urn), _plain(request.news), _plain(request.olds)
        name = kind.name
        if name is not None and name.field not in news:
            seed = request.randomSeed or request.urn.encode()
            news[name.field] = olds.get(name.field) or name.of(request.urn.split("::")[-1], seed)
        failures = [provider_pb2.CheckFailure(property=p, reason=why) for p, why in kind.problems(news)]
        return provider_pb2.CheckResponse(inputs=_struct(news), failures=failures)

    @_guarded
    def Diff(self, request: Any, context: Any) -> Any:
        kind, old, new = _kind(request.urn), _plain(request.old_inputs), _plain(request.news)
        changed = [k for k in kind.changed(old, new) if k not in request.ignoreChanges]
        replaces = kind.replacing(changed)
        some = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        detail = {
            k: provider_pb2.PropertyDiff(kind=_change(k, old, new, k in replaces), inputDiff=True) for k in changed
        }
        return provider_pb2.DiffResponse(
            changes=some, diffs=changed, replaces=replaces, hasDetailedDiff=True, detailedDiff=detail
        )

    @_guarded
    def Create(self, request: Any, context: Any) -> Any:
        kind, props = _kind(request.urn), _plain(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_struct({**props, **dict.fromkeys(kind.computed, UNKNOWN)}))
        if _unknown(props):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{request.urn} has unknown inputs after the preview")
        resource_id = kind.create(self.aws, self.aws.placed(props))
        return provider_pb2.CreateResponse(id=resource_id, properties=_struct(self._now(kind, resource_id, props)))

    @_guarded
    def Read(self, request: Any, context: Any) -> Any:
        kind = _kind(request.urn)
        imported = not request.properties.fields
        resource_id, known = kind.imports(request.id) if imported else (request.id, _plain(request.properties))
        found = kind.read(self.aws, resource_id, known)
        if found is None:
            return provider_pb2.ReadResponse()
        before = set(_plain(request.inputs)) or set(known)
        wanted = kind.inputs if imported else {k for k in kind.inputs if k in before or k in found}
        inputs = {k: v for k, v in found.items() if k in wanted or (k == "region" and k in before)}
        return provider_pb2.ReadResponse(id=resource_id, properties=_struct(found), inputs=_struct(inputs))

    @_guarded
    def Update(self, request: Any, context: Any) -> Any:
        kind, old, new = _kind(request.urn), _plain(request.olds), _plain(request.news)
        if request.preview:
            kept = {k: old.get(k, UNKNOWN) for k in kind.computed}
            return provider_pb2.UpdateResponse(properties=_struct({**new, **kept}))
        if kind.update is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{kind.token} cannot be updated, only replaced")
        else:
            kind.update(self.aws, request.id, self.aws.placed(new))
        return provider_pb2.UpdateResponse(properties=_struct(self._now(kind, request.id, new)))

    @_guarded
    def Delete(self, request: Any, context: Any) -> Any:
        _kind(request.urn).remove(self.aws, request.id, self.aws.placed(_plain(request.properties)))
        return empty_pb2.Empty()

    def _now(self, kind: Kind, resource_id: str, props: Props) -> Props:
        found = kind.read(self.aws, resource_id, props)
        return props if found is None else found


def _change(key: str, old: Props, new: Props, replaces: bool) -> Any:
    kinds = provider_pb2.PropertyDiff
    if key not in old:
        return kinds.ADD_REPLACE if replaces else kinds.ADD
    if key not in new:
        return kinds.DELETE_REPLACE if replaces else kinds.DELETE
    return kinds.UPDATE_REPLACE if replaces else kinds.UPDATE


if __name__ == "__main__":
    main()
