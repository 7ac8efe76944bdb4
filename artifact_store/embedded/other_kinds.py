"""Keys, roles, topics and event rules, as Pulumi's AWS provider names them."""

from __future__ import annotations

import json
from typing import Any

from artifact_store.embedded.table import Aws, Kind, Name, Props, number, told


def _create_key(aws: Aws, props: Props) -> str:
    kms = aws("kms", props["region"])
    made = kms.create_key(Description=props.get("description") or "", Policy=props.get("policy") or "")
    key_id = str(made["KeyMetadata"]["KeyId"])
    if props.get("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=key_id)
    return key_id


def _look_key(aws: Aws, key_id: str, props: Props) -> Props | None:
    kms = aws("kms", props["region"])
    found = told(lambda: kms.describe_key(KeyId=key_id), "NotFoundException")
    if found is None or found["KeyMetadata"].get("DeletionDate"):
        return None
    return {
        "arn": found["KeyMetadata"]["Arn"],
        "keyId": key_id,
        "description": found["KeyMetadata"]["Description"],
        "enableKeyRotation": kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"],
        "policy": kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"],
    }


def _update_key(aws: Aws, key_id: str, props: Props) -> None:
    kms = aws("kms", props["region"])
    kms.update_key_description(KeyId=key_id, Description=props.get("description") or "")
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=props["policy"])
    if props.get("enableKeyRotation"):
        kms.enable_key_rotation(KeyId=key_id)
    else:
        kms.disable_key_rotation(KeyId=key_id)


def _create_alias(aws: Aws, props: Props) -> str:
    aws("kms", props["region"]).create_alias(AliasName=props["name"], TargetKeyId=props["targetKeyId"])
    return str(props["name"])


def _look_alias(aws: Aws, name: str, props: Props) -> Props | None:
    pages = aws("kms", props["region"]).get_paginator("list_aliases").paginate()
    found = next((a for page in pages for a in page["Aliases"] if a["AliasName"] == name), None)
    return found and {"name": name, "targetKeyId": found.get("TargetKeyId"), "arn": found["AliasArn"]}


def _create_role(aws: Aws, props: Props) -> str:
    json.loads(props["assumeRolePolicy"])
    aws("iam").create_role(RoleName=props["name"], AssumeRolePolicyDocument=props["assumeRolePolicy"])
    return str(props["name"])


def _look_role(aws: Aws, name: str, _: Props) -> Props | None:
    found = told(lambda: aws("iam").get_role(RoleName=name), "NoSuchEntity")
    if found is None:
        return None
    role = found["Role"]
    trust = json.dumps(role["AssumeRolePolicyDocument"])
    return {"name": name, "arn": role["Arn"], "uniqueId": role["RoleId"], "assumeRolePolicy": trust}


def _attach(aws: Aws, props: Props) -> str:
    aws("iam").attach_role_policy(RoleName=props["role"], PolicyArn=props["policyArn"])
    return f"{props['role']}/{props['policyArn']}"


def _look_attachment(aws: Aws, resource_id: str, _: Props) -> Props | None:
    role, arn = resource_id.split("/", 1)
    ask = {"RoleName": role}
    found = told(lambda: aws("iam").list_attached_role_policies(**ask), "NoSuchEntity")
    there = found is not None and any(p["PolicyArn"] == arn for p in found["AttachedPolicies"])
    return {"role": role, "policyArn": arn} if there else None


def _create_topic(aws: Aws, props: Props) -> str:
    attributes = {"KmsMasterKeyId": props["kmsMasterKeyId"]} if props.get("kmsMasterKeyId") else {}
    made = aws("sns", props["region"]).create_topic(Name=props["name"], Attributes=attributes)
    return str(made["TopicArn"])


def _topic(aws: Aws, arn: str, props: Props) -> Any:
    return told(lambda: aws("sns", props["region"]).get_topic_attributes(TopicArn=arn), "NotFound", "NotFoundException")


def _look_topic(aws: Aws, arn: str, props: Props) -> Props | None:
    found = _topic(aws, arn, props)
    if found is None:
        return None
    return {"arn": arn, "name": arn.rsplit(":", 1)[-1], "kmsMasterKeyId": found["Attributes"].get("KmsMasterKeyId")}


def _put_topic_policy(aws: Aws, arn: str, props: Props) -> None:
    sns = aws("sns", props["region"])
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=props["policy"])


def _create_topic_policy(aws: Aws, props: Props) -> str:
    _put_topic_policy(aws, props["arn"], props)
    return str(props["arn"])


def _look_topic_policy(aws: Aws, arn: str, props: Props) -> Props | None:
    found = _topic(aws, arn, props)
    return None if found is None else {"arn": arn, "policy": found["Attributes"].get("Policy")}


def _subscribe(aws: Aws, props: Props) -> str:
    made = aws("sns", props["region"]).subscribe(
        TopicArn=props["topic"], Protocol=props["protocol"], Endpoint=props["endpoint"], ReturnSubscriptionArn=True
    )
    return str(made["SubscriptionArn"])


def _look_subscription(aws: Aws, arn: str, props: Props) -> Props | None:
    sns = aws("sns", props["region"])
    found = told(lambda: sns.get_subscription_attributes(SubscriptionArn=arn), "NotFound", "NotFoundException")
    if found is None:
        return None
    attributes = found["Attributes"]
    return {
        "arn": arn,
        "topic": attributes["TopicArn"],
        "protocol": attributes["Protocol"],
        "endpoint": attributes["Endpoint"],
    }


def _put_rule(aws: Aws, props: Props) -> str:
    aws("events", props["region"]).put_rule(
        Name=props["name"], EventPattern=props["eventPattern"], Description=props.get("description") or ""
    )
    return str(props["name"])


def _update_rule(aws: Aws, name: str, props: Props) -> None:
    _put_rule(aws, {**props, "name": name})


def _look_rule(aws: Aws, name: str, props: Props) -> Props | None:
    found = told(lambda: aws("events", props["region"]).describe_rule(Name=name), "ResourceNotFoundException")
    if found is None:
        return None
    return {
        "name": name,
        "arn": found["Arn"],
        "eventPattern": found["EventPattern"],
        "description": found.get("Description"),
    }


def _target_id(props: Props) -> str:
    return str(props.get("targetId") or f"{props['rule']}-target"[:64])


def _put_target(aws: Aws, props: Props) -> str:
    aws("events", props["region"]).put_targets(
        Rule=props["rule"], Targets=[{"Id": _target_id(props), "Arn": props["arn"]}]
    )
    return f"{props['rule']}/{_target_id(props)}"


def _update_target(aws: Aws, _: str, props: Props) -> None:
    _put_target(aws, props)


def _look_target(aws: Aws, resource_id: str, props: Props) -> Props | None:
    rule, _, target_id = resource_id.partition("/")
    events = aws("events", props["region"])
    found = told(lambda: events.list_targets_by_rule(Rule=rule), "ResourceNotFoundException")
    target = next((t for t in (found or {}).get("Targets", []) if t["Id"] == target_id), None)
    return target and {"rule": rule, "arn": target["Arn"], "targetId": target_id if props.get("targetId") else None}


def _delete_target(aws: Aws, resource_id: str, props: Props) -> None:
    rule, _, target_id = resource_id.partition("/")
    aws("events", props["region"]).remove_targets(Rule=rule, Ids=[target_id])


KINDS = (
    Kind(
        token="aws:kms/key:Key",
        inputs=frozenset({"description", "enableKeyRotation", "deletionWindowInDays", "policy"}),
        required=frozenset(),
        replaces=frozenset(),
        create=_create_key,
        look=_look_key,
        update=_update_key,
        delete=lambda aws, key_id, props: aws("kms", props["region"]).schedule_key_deletion(
            KeyId=key_id, PendingWindowInDays=number(props.get("deletionWindowInDays") or 30)
        ),
        computed=("arn", "keyId"),
    ),
    Kind(
        token="aws:kms/alias:Alias",
        inputs=frozenset({"name", "targetKeyId"}),
        required=frozenset({"name", "targetKeyId"}),
        replaces=frozenset({"name"}),
        create=_create_alias,
        look=_look_alias,
        update=lambda aws, name, props: aws("kms", props["region"]).update_alias(
            AliasName=name, TargetKeyId=props["targetKeyId"]
        ),
        delete=lambda aws, name, props: aws("kms", props["region"]).delete_alias(AliasName=name),
        computed=("arn",),
        imports=lambda name: (name, {"name": name}),
    ),
    Kind(
        token="aws:iam/role:Role",
        inputs=frozenset({"name", "assumeRolePolicy"}),
        required=frozenset({"assumeRolePolicy"}),
        regional=False,
        replaces=frozenset({"name"}),
        create=_create_role,
        look=_look_role,
        update=lambda aws, name, props: aws("iam").update_assume_role_policy(
            RoleName=name, PolicyDocument=props["assumeRolePolicy"]
        ),
        delete=lambda aws, name, props: aws("iam").delete_role(RoleName=name),
        computed=("arn", "uniqueId"),
        name=Name("name", 64),
        imports=lambda name: (name, {"name": name}),
    ),
    Kind(
        token="aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        inputs=frozenset({"role", "policyArn"}),
        required=frozenset({"role", "policyArn"}),
        replaces=frozenset({"role", "policyArn"}),
        regional=False,
        create=_attach,
        look=_look_attachment,
        delete=lambda aws, _, props: aws("iam").detach_role_policy(
            RoleName=props["role"], PolicyArn=props["policyArn"]
        ),
    ),
    Kind(
        token="aws:sns/topic:Topic",
        inputs=frozenset({"name", "kmsMasterKeyId"}),
        required=frozenset(),
        replaces=frozenset({"name"}),
        create=_create_topic,
        look=_look_topic,
        update=lambda aws, arn, props: aws("sns", props["region"]).set_topic_attributes(
            TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=props.get("kmsMasterKeyId") or ""
        ),
        delete=lambda aws, arn, props: aws("sns", props["region"]).delete_topic(TopicArn=arn),
        computed=("arn",),
        name=Name("name", 256),
        imports=lambda arn: (arn, {"name": arn.rsplit(":", 1)[-1]}),
    ),
    Kind(
        token="aws:sns/topicPolicy:TopicPolicy",
        inputs=frozenset({"arn", "policy"}),
        required=frozenset({"arn", "policy"}),
        replaces=frozenset({"arn"}),
        create=_create_topic_policy,
        look=_look_topic_policy,
        update=_put_topic_policy,
        # A topic always has a policy: without ours AWS's default one, which moto does not put back, would stand.
        delete=lambda aws, arn, props: None,
        imports=lambda arn: (arn, {"arn": arn}),
    ),
    Kind(
        token="aws:sns/topicSubscription:TopicSubscription",
        inputs=frozenset({"topic", "protocol", "endpoint"}),
        required=frozenset({"topic", "protocol", "endpoint"}),
        replaces=frozenset({"topic", "protocol", "endpoint"}),
        create=_subscribe,
        look=_look_subscription,
        delete=lambda aws, arn, props: aws("sns", props["region"]).unsubscribe(SubscriptionArn=arn),
        computed=("arn",),
    ),
    Kind(
        token="aws:cloudwatch/eventRule:EventRule",
        inputs=frozenset({"name", "description", "eventPattern"}),
        required=frozenset({"eventPattern"}),
        replaces=frozenset({"name"}),
        create=_put_rule,
        look=_look_rule,
        update=_update_rule,
        delete=lambda aws, name, props: aws("events", props["region"]).delete_rule(Name=name),
        computed=("arn",),
        name=Name("name", 64),
        imports=lambda name: (name, {"name": name}),
    ),
    Kind(
        token="aws:cloudwatch/eventTarget:EventTarget",
        inputs=frozenset({"rule", "arn", "targetId"}),
        required=frozenset({"rule", "arn"}),
        replaces=frozenset({"rule", "targetId"}),
        create=_put_target,
        look=_look_target,
        update=_update_target,
        delete=_delete_target,
    ),
)
