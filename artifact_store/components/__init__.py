"""What `pulumi up` makes: one ComponentResource a file, composed by the project's `__main__.py`."""

from artifact_store.components.alerts import Alerts
from artifact_store.components.bucket import VersionedBucket
from artifact_store.components.plan import BackupPlan
from artifact_store.components.restore_test import RestoreTest
from artifact_store.components.role import BackupRole
from artifact_store.components.second_region import SecondRegion
from artifact_store.components.vault import BackupVault

__all__ = ["Alerts", "BackupPlan", "BackupRole", "BackupVault", "RestoreTest", "SecondRegion", "VersionedBucket"]
