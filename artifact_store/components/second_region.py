"""The vault in another Region that receives copies of the snapshots.

Owns nothing but the Region: vault, key, policy and lock are those of BackupVault, without notifications, since a topic
must be in the vault's own Region and failed copies are reported where they start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import pulumi

from artifact_store import design
from artifact_store.components.options import guarded
from artifact_store.components.vault import BackupVault


@dataclass(frozen=True)
class NoSecondRegion:
    """What stands where config wants no copies."""

    vault: None = None
    arn: None = None


class SecondRegion(pulumi.ComponentResource):
    vault: pulumi.Output[str]
    arn: pulumi.Output[str]

    @classmethod
    def by_config(cls, name: str, args: design.Vault, *, region: str | None, protected: bool) -> Copies:
        return NoSecondRegion() if region is None else cls(name, args, region=region, protected=protected)

    def __init__(
        self,
        name: str,
        args: design.Vault,
        *,
        region: str,
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:SecondRegion", name, None, guarded(opts, protected))
        vault = BackupVault(
            f"{name}-vault", args, protected=protected, region=region, opts=pulumi.ResourceOptions(parent=self)
        )
        self.vault, self.arn = vault.vault, vault.arn
        self.register_outputs({"vault": self.vault, "arn": self.arn})


Copies: TypeAlias = SecondRegion | NoSecondRegion
