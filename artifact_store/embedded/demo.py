"""The whole story on this machine: deploy the store, train a model, break it, get it back, prove it.

Owns what `make demo` shows. Exit code 0 only if an instant inside the push is refused, every file came back to the
byte, nothing that the bad push wrote is lost, and the model is as accurate as before.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from artifact_store.cli.output import paint, say, tell
from artifact_store.cli.output import size as readable
from artifact_store.embedded import classifier
from artifact_store.embedded.cloud import EmbeddedAws
from artifact_store.embedded.deploy import deployed, environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).resolve().parents[2]
STACK = "dev"
MODEL = "models/classifier"


def main() -> int:
    """Tell the story; returns the exit code, 130 where it was interrupted."""
    interrupted = threading.Event()

    def interrupt(*_: object) -> None:
        interrupted.set()
        # What is cut off in the middle may end in errors of its own, which only hide the reason.
        threading.excepthook = lambda _: None
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        return told()
    except (KeyboardInterrupt, Exception):
        if not interrupted.is_set():
            raise
        say("interrupted: what the demo made is gone with its embedded AWS", "yellow")
        return 130
    finally:
        signal.signal(signal.SIGINT, before)


def told() -> int:
    """The story itself."""
    with EmbeddedAws() as aws, tempfile.TemporaryDirectory(prefix="artifact-store-demo-") as state:
        head(f"The store: `pulumi up` of stack {STACK}, on an AWS of its own")
        tell(f"   {aws.endpoint}, played by moto: no account, no credentials, nothing leaves this machine")
        began = time.monotonic()
        with deployed(PROJECT, STACK, aws) as store:
            took = time.monotonic() - began
            tell(f"   {store.resources} resources in {took:.1f} s, deployed by {store.by}")
            tell(f"   bucket {store.outputs['bucket']}, vault {store.outputs['vault']}")
            with environment({**aws.environment, "XDG_STATE_HOME": state}):
                proved = story(store.outputs["bucket"])
    if not proved:
        tell("The model did NOT come back as it was.", "red")
        return 1
    tell("Proved: the model is back as it was, whole and to the byte, and nothing was lost.", "green")
    return 0


def story(bucket: str) -> bool:
    """From a good model to a bad push and back; returns whether all of it could be proved."""
    s3 = client()
    address = f"s3://{bucket}/{MODEL}"
    push = Push(s3, bucket)

    head("A good model")
    files = classifier.stored(classifier.train(seed=1))
    push.write(files)
    total = readable(sum(map(len, files.values())))
    tell(f"   {classifier.SHARDS} shards (*.safetensors), index and config: {len(files)} files, {total}")
    before = show(files)
    good = next_second()

    head("A bad push, trained on wrong labels, is cut off in the middle")
    bad = classifier.train(seed=2, mislabelled=True)
    wrong = {**classifier.stored(bad), classifier.SINGLE: classifier.single(bad)}
    half = [classifier.shard(1), classifier.shard(2), classifier.SINGLE]
    push.write({name: wrong[name] for name in half})
    push.delete(classifier.shard(4))
    tell("   two shards overwritten with files of the same size, one deleted, a stray model.safetensors added")
    show(current(s3, bucket))
    inside = next_second()
    tell(f"   T = {inside}", "bold")

    head("It is tried again, tidies up and ends: now everything is wrong, and whole")
    push.write({name: data for name, data in wrong.items() if name not in half})
    push.delete(classifier.SINGLE)
    show(current(s3, bucket))

    head("What changed since the good model")
    changed = command("diff", address, "--at", good) == 0

    head("T lies inside the push: that is no model, and is refused")
    refused = command("restore", address, "--at", inside, "--yes") == 4

    head("The newest whole model up to T")
    restored = command("restore", address, "--at", inside, "--nearest-complete", "--yes") == 0

    head("The proof")
    found = current(s3, bucket)
    same = [name for name, data in files.items() if digest(found.get(name, b"")) == digest(data)]
    tell(f"   {len(same)} of {len(files)} files have the same SHA-256 as in the good model, {len(found)} are there")
    for name in sorted((files.keys() | found.keys()) - set(same)):
        tell(f"   {name} is NOT as it was", "red")
    kept = {digest(data) for data in versions(s3, bucket)}
    nothing_lost = all(digest(data) in kept for data in (*files.values(), *wrong.values()))
    tell(f"   what the bad push wrote is {'still there as noncurrent versions' if nothing_lost else 'LOST'}")
    return changed and refused and restored and found == files and nothing_lost and show(found) == before


@dataclass(frozen=True)
class Push:
    """Writes files of the model one after the other, as an uploader does."""

    s3: S3Client
    bucket: str

    def write(self, files: classifier.Files) -> None:
        for name, data in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=f"{MODEL}/{name}", Body=data)

    def delete(self, name: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=f"{MODEL}/{name}")


def next_second() -> str:
    """The present second, once it is over: S3's times are whole seconds, and T is inclusive."""
    now = int(time.time())
    time.sleep(max(0.0, now + 1 - time.time()))
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def show(files: classifier.Files) -> float:
    """What a loader makes of these files, as a line; returns the accuracy, -1 where they cannot be loaded."""
    try:
        accuracy = classifier.accuracy(classifier.loaded(files))
    except KeyError as missing:
        tell(f"   the model cannot be loaded: {missing} is missing", "red")
        return -1
    tell(f"   accuracy of the model as it is loaded now: {accuracy:.1%}", "green" if accuracy > 0.5 else "red")
    return accuracy


def command(*arguments: str) -> int:
    """Run the real command line as a user would; returns its exit code."""
    tell(f"   $ artifact-store {' '.join(arguments)}", "bold")
    sys.stdout.flush()
    words = [sys.executable, "-m", "artifact_store", *arguments]
    # One stream, so that talk and data stay in order in a file too.
    return subprocess.run(words, check=False, stderr=subprocess.STDOUT).returncode  # noqa: S603 - this program, with words of the demo


def current(s3: S3Client, bucket: str) -> classifier.Files:
    """The model's files as any reader finds them now. Read with boto3: a proof by someone else's code."""
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{MODEL}/")
    keys = [found["Key"] for found in listed.get("Contents", [])]
    return {key.removeprefix(f"{MODEL}/"): s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def versions(s3: S3Client, bucket: str) -> list[bytes]:
    """Every version's content, noncurrent ones too."""
    listed = s3.list_object_versions(Bucket=bucket, Prefix=f"{MODEL}/").get("Versions", [])
    return [s3.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read() for one in listed]


def client() -> S3Client:
    """Finds the embedded AWS by the environment, like any other client."""
    import boto3

    return boto3.Session().client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])


def digest(data: bytes) -> str:
    """SHA-256 as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()


def head(text: str) -> None:
    """The next chapter's title."""
    tell(paint(text, "cyan", sys.stdout))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
