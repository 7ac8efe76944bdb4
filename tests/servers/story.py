"""A bucket with a past: a model is stored, and half an hour later a bad push spoils it. Told to moto, whose clock a test
can set, so that times and outputs are exact."""

from dataclasses import dataclass, field

import time_machine

from tests.servers.conftest import Server, new_bucket

STORED = 1_777_901_400
"""2026-05-04T13:30:00Z"""
SPOILED = STORED + 1800
"""2026-05-04T14:00:00Z, the first second of the bad push; it goes on for three."""
BEFORE = "2026-05-04T13:59:59Z"

CONFIG = b'{"hidden_size": 4}'
SHARD_1, SHARD_2, NEIGHBOUR = b"\x01" * 1500, b"\x02" * 2500, b"another model"
BAD_SHARD = b"\xff" * len(SHARD_1)
MODEL = {
    "models/m-1/config.json": CONFIG,
    "models/m-1/part-00001-of-00002.bin": SHARD_1,
    "models/m-1/part-00002-of-00002.bin": SHARD_2,
}


@dataclass
class Story:
    """ids: version ids by key, oldest first."""

    server: Server
    bucket: str
    ids: dict[str, list[str]] = field(default_factory=dict)

    @property
    def address(self):
        return f"s3://{self.bucket}/models/m-1"

    def put(self, second, key, body):
        with time_machine.travel(second, tick=False):
            answer = self.server.boto().put_object(Bucket=self.bucket, Key=key, Body=body)
        self.ids.setdefault(key, []).append(answer["VersionId"])

    def delete(self, second, key):
        with time_machine.travel(second, tick=False):
            answer = self.server.boto().delete_object(Bucket=self.bucket, Key=key)
        self.ids.setdefault(key, []).append(answer["VersionId"])

    def contents(self, prefix=""):
        """What a plain GET of each key gives now."""
        boto = self.server.boto()
        listed = boto.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return {o["Key"]: boto.get_object(Bucket=self.bucket, Key=o["Key"])["Body"].read() for o in listed}

    def everything(self):
        """Every version and marker there is, to show that nothing was written."""
        pages = self.server.boto().get_paginator("list_object_versions").paginate(Bucket=self.bucket)
        return [
            (e["Key"], e["VersionId"], e["IsLatest"])
            for page in pages
            for e in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]


def spoiled_model(server):
    """The story, told to a new bucket."""
    story = Story(server, new_bucket(server))
    for key, body in MODEL.items():
        story.put(STORED, key, body)
    story.put(STORED + 60, "models/m-10/config.json", NEIGHBOUR)
    story.put(SPOILED, "models/m-1/part-00001-of-00002.bin", BAD_SHARD)
    story.delete(SPOILED + 1, "models/m-1/part-00002-of-00002.bin")
    story.put(SPOILED + 2, "models/m-1/stray\x9b2J.tmp", b"?")
    return story
