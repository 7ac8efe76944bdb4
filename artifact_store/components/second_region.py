"""The vault in another Region that receives copies of the snapshots.

Owns nothing but the Region: vault, key, policy and lock are those of BackupVault, without notifications, since a topic
must be in the vault's own Region and failed copies are reported where they start.
"""

from __future__ import annotations

import pulumi

from artifact_store import design
from artifact_store.components.engine import guarded
from artifact_store.components.vault import BackupVault


class SecondRegion(pulumi.ComponentResource):
    vault: pulumi.Output[str]
    arn: pulumi.Output[str]

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
