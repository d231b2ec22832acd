"""The credentials of the DVC remote from a block of Prefect, in place of environment variables of each machine."""

import os
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from prefect import get_client
from prefect.exceptions import ObjectNotFound

from pipelines.cluster.worker.settings import SettingsError

VARIABLE: Final = "LZN_S3_BLOCK"
TYPE: Final = "aws-credentials"
_FIELDS: Final = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "region_name": "AWS_DEFAULT_REGION",
}


def use_s3_block(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the AWS variables of this process from the block in LZN_S3_BLOCK; without it, they stay as they are.

    The block has Prefect's type AWS Credentials. Its document is read, so no machine needs the package prefect-aws.

    Raises:
        SettingsError: the block does not exist, has another type or no keys.
    """
    if slug := environment.get(VARIABLE):
        environment.update(variables_of(slug))


def variables_of(slug: str) -> Mapping[str, str]:
    """Return the AWS variables of a block, given as `aws-credentials/NAME`. Raises SettingsError as above."""
    kind, _, name = slug.partition("/")
    if kind != TYPE or not name:
        raise SettingsError(f"{VARIABLE} must be {TYPE}/NAME, got {slug}")
    try:
        with get_client(sync_client=True) as client:
            data = client.read_block_document_by_name(name, kind, include_secrets=True).data
    except ObjectNotFound as error:
        raise SettingsError(f"{VARIABLE}: Prefect has no block {slug}; create it in its UI") from error
    found: dict[str, Any] = {variable: data.get(field) for field, variable in _FIELDS.items()}
    found["AWS_ENDPOINT_URL"] = (data.get("aws_client_parameters") or {}).get("endpoint_url")
    if not (found["AWS_ACCESS_KEY_ID"] and found["AWS_SECRET_ACCESS_KEY"]):
        raise SettingsError(f"{VARIABLE}: the block {slug} has no access key or no secret")
    return {variable: str(value) for variable, value in found.items() if value}
