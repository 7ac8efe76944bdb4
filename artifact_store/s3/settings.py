"""Where S3 is and who asks: credentials, Region, endpoint, addressing, certificates and proxies as botocore finds them.

Owns nothing of its own: what the aws command line would use is used here. Refuses to guess a Region.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from artifact_store.errors import S3Error, UsageError

if TYPE_CHECKING:
    import botocore.client
    import botocore.session


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket answers: https, host[:port] and the path before the key ("" or "/bucket")."""

    tls: bool
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Keys:
    """One set of credentials, as it is now."""

    access_key: str
    secret_key: str
    token: str


class Settings:
    """The settings of one client. `keys()` may be called at any time and refreshes what expires."""

    def __init__(self, profile: str | None, region: str | None, endpoint_url: str | None) -> None:
        import botocore.exceptions
        import botocore.session

        if endpoint_url and urlsplit(endpoint_url).scheme not in ("http", "https"):
            raise UsageError(f"endpoint {endpoint_url!r} is no URL; write for example http://127.0.0.1:9000")
        self._session = botocore.session.Session(profile=profile)
        self._endpoint_url = endpoint_url
        self._places: dict[str, Place] = {}
        try:
            # AWS_REGION comes first with the aws command line (AWS CLI guide, "Environment variables"); botocore does
            # not know it.
            found = region or os.environ.get("AWS_REGION") or self._session.get_config_variable("region")
            credentials = self._session.get_credentials()
        except botocore.exceptions.BotoCoreError as error:
            raise UsageError(f"aws configuration: {_line(error)}; {_remedy(error)}") from error
        self.region: str = found or "us-east-1"
        self._client = self._make_client()
        self.endpoint: str = self._client.meta.endpoint_url
        if not found and ".amazonaws.com" in self.endpoint:
            raise UsageError("no Region: add --region, set AWS_REGION, or write region into the aws configuration")
        if credentials is None:
            raise S3Error(
                "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or sign in with "
                "`aws sso login`",
                code="NoCredentials",
            )
        self._credentials = credentials

    @property
    def refreshed(self) -> bool:
        """Whether the credentials expire and are renewed (SSO, assumed roles, instance roles)."""
        from botocore.credentials import RefreshableCredentials

        return isinstance(self._credentials, RefreshableCredentials)

    def keys(self) -> Keys:
        import botocore.exceptions

        try:
            frozen = self._credentials.get_frozen_credentials()
        except botocore.exceptions.BotoCoreError as error:
            raise S3Error(f"credentials: {error}", code="NoCredentials") from error
        return Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token or "")

    def place(self, bucket: str) -> Place:
        """Where the bucket answers, as botocore's endpoint rules decide it (virtual-host or path style)."""
        if bucket not in self._places:
            self._places[bucket] = self._resolve(bucket)
        return self._places[bucket]

    def ca_bundle(self) -> str | None:
        """A file with certificates to trust instead of the system's (AWS_CA_BUNDLE, ca_bundle)."""
        found = self._session.get_config_variable("ca_bundle")
        if found and not Path(found).is_file():
            raise UsageError(f"AWS_CA_BUNDLE names {found}, which is no file; name a file of certificates, or unset it")
        return str(found) if found else None

    def proxy(self, url: str) -> str | None:
        """The proxy for a URL (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), None for none."""
        from botocore.utils import get_environ_proxies

        return get_environ_proxies(url).get(urlsplit(url).scheme)

    def _make_client(self) -> botocore.client.BaseClient:
        """botocore's own S3 client, which knows the endpoint rules."""
        import botocore.config
        import botocore.exceptions

        try:
            return self._session.create_client(
                "s3",
                region_name=self.region,
                endpoint_url=self._endpoint_url,
                config=botocore.config.Config(
                    request_checksum_calculation="when_required", response_checksum_validation="when_required"
                ),
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            raise UsageError(f"aws configuration: {_line(error)}; {_remedy(error)}") from error

    def _resolve(self, bucket: str) -> Place:
        """Let botocore prepare a request for the bucket and stop it before it is sent."""
        import botocore.exceptions
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        seen: list[str] = []

        def stop(request: Any, **_: Any) -> Any:
            seen.append(request.url)
            return AWSResponse(request.url, 200, HTTPHeaders(), _Nothing())

        client = self._client
        client.meta.events.register("before-send.s3.HeadBucket", stop)
        try:
            client.head_bucket(Bucket=bucket)  # type: ignore[attr-defined]  # botocore makes it at run time
        except botocore.exceptions.ParamValidationError as error:
            raise UsageError(f"{bucket!r} is no bucket name; look at its spelling") from error
        except botocore.exceptions.BotoCoreError as error:
            raise UsageError(f"aws configuration: {_line(error)}; {_remedy(error)}") from error
        finally:
            client.meta.events.unregister("before-send.s3.HeadBucket", stop)
        parts = urlsplit(seen[0])
        return Place(parts.scheme == "https", parts.netloc, parts.path.rstrip("/"))


class _Nothing:
    """A body of no bytes, as botocore reads one."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def _remedy(error: Exception) -> str:
    """What to do about something botocore found in the environment or the aws configuration."""
    text = str(error).lower()
    if "partial credentials" in text:
        return "set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither"
    if "endpoint" in text:
        return "set AWS_ENDPOINT_URL or endpoint_url to a URL, as in http://127.0.0.1:9000"
    if "profile" in text:
        return "look at ~/.aws/config, or choose another with --profile"
    if "region" in text:
        return "name a Region with --region, as in eu-central-1"
    return "look at the AWS_* variables and at ~/.aws/config"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
