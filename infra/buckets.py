"""Buckets of an S3 server, and for how long what lies in them is kept."""

from typing import Any, Final

ABORT_UPLOADS_DAYS: Final = 7
EXPIRE_TEMPORARY_DAYS: Final = 30
TEMPORARY_PREFIX: Final = "tmp/"


def make_buckets(client: Any, *names: str) -> None:
    """Make the buckets that are missing, and set their lifecycle.

    client: boto3's, with an administrator's keys. Raises ClientError or BotoCoreError where the server cannot be
    reached or refuses.
    """
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in names:
        if name not in present:
            client.create_bucket(Bucket=name)
        client.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": lifecycle_rules()}
        )


def lifecycle_rules() -> list[dict[str, Any]]:
    """Uploads that nobody finished go after a week, objects under tmp/ after a month; nothing else ever goes."""
    return [
        {
            "ID": "unfinished-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_UPLOADS_DAYS},
        },
        {
            "ID": "temporary",
            "Status": "Enabled",
            "Filter": {"Prefix": TEMPORARY_PREFIX},
            "Expiration": {"Days": EXPIRE_TEMPORARY_DAYS},
        },
    ]
