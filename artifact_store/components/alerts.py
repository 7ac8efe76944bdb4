"""Who is told when the promise is in danger.

Owns the encrypted topic, its subscriptions and the EventBridge rules. EventBridge sees more than a vault's own
notifications do: aborted jobs, and recovery points that stop (AWS Backup guide, eventbridge). The rules are not
narrowed to one vault: the events name it under different fields, and an alert too many is better than one too few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from artifact_store.components import policy
from artifact_store.components.key import EncryptionKey
from artifact_store.components.options import guarded

SERVICES = ("backup.amazonaws.com", "events.amazonaws.com")
EVENTS: Mapping[str, tuple[str, Mapping[str, Sequence[Any]]]] = {
    "backup-job": ("Backup Job State Change", {"state": ["ABORTED", "EXPIRED", "FAILED", "PARTIAL"]}),
    "backup-job-issues": (
        "Backup Job State Change",
        {"state": ["COMPLETED"], "statusMessage": [{"exists": True}]},
    ),
    "copy-job": ("Copy Job State Change", {"state": ["FAILED", "PARTIAL"]}),
    "restore-job": ("Restore Job State Change", {"status": ["ABORTED", "FAILED"]}),
    "continuous-backup": ("Recovery Point State Change", {"status": ["EXPIRED", "PARTIAL", "STOPPED"]}),
}
"""A completed job with a message is one "Completed with issues" (AWS Backup guide, eventbridge)."""


class Alerts(pulumi.ComponentResource):
    """emails: addresses, each of which must confirm its subscription once. secret: whether they stay encrypted in the
    state, where only the eight characters of a digest in the resource's name tell one from another."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        emails: Sequence[str],
        protected: bool,
        secret: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("artifact-store:index:Alerts", name, None, guarded(opts, protected))
        child = pulumi.ResourceOptions(parent=self)
        # The AWS-managed key of SNS cannot be used by services that publish (SNS guide, sns-key-management).
        key = EncryptionKey(
            f"{name}-key",
            description="Encrypts the alerts of an artifact store",
            protected=protected,
            services=SERVICES,
            opts=child,
        )
        topic = aws.sns.Topic(name, kms_master_key_id=key.arn, opts=child)
        topic_policy = aws.sns.TopicPolicy(
            f"{name}-policy",
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(topic.arn.apply(lambda arn: policy.topic(arn, SERVICES))),
            opts=child,
        )
        for email in emails:
            # Named by the address: SNS knows a subscription by it (SNS API reference, Subscribe), so numbered ones
            # would unsubscribe all that move up when one leaves.
            aws.sns.TopicSubscription(
                f"{name}-email-{hashlib.sha256(email.encode()).hexdigest()[:8]}",
                topic=topic.arn,
                protocol="email",
                endpoint=pulumi.Output.secret(email) if secret else email,
                # Who is told changes often; an address that is taken out and put back must confirm again.
                opts=pulumi.ResourceOptions(parent=self, protect=False),
            )
        for event, (detail_type, detail) in EVENTS.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{event}",
                description=f"{detail_type} that puts the promise in danger",
                event_pattern=pulumi.Output.json_dumps(policy.event_pattern(detail_type, detail)),
                opts=child,
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{event}-target",
                rule=rule.name,
                arn=topic.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[topic_policy]),
            )
        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})
