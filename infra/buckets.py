"""Make the buckets of an S3 server, with rules that remove temporary objects."""

from typing import Any, Final

ABORT_UPLOADS_DAYS: Final = 7
EXPIRE_TEMPORARY_DAYS: Final = 30
TEMPORARY_PREFIX: Final = "tmp/"


def make_buckets(client: Any, *names: str) -> None:
    """Make the buckets that do not exist, and set the lifecycle rules of all.

    client: a boto3 client with an administrator's keys. Raises ClientError or BotoCoreError if a request fails.
    """
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in names:
        if name not in present:
            client.create_bucket(Bucket=name)
        client.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": lifecycle_rules()}
        )


def lifecycle_rules() -> list[dict[str, Any]]:
    """Return rules that remove unfinished uploads after a week and objects under tmp/ after 30 days, nothing else."""
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
