"""Print a work pool's template with your own image, for `python -m pipelines.cluster.deploy --pool-template`:

    python -m infra.work_pools.template kubernetes --image registry.example.org/lzn:0.1.0-cuda > gpu.json
    python -m pipelines.cluster.deploy --pool-type gpu=kubernetes --pool-template gpu=gpu.json

The templates beside this file are Prefect's defaults with this project's image, secrets, shared state and GPUs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


def read_template(
    pool_type: str, *, image: str | None = None, namespace: str | None = None
) -> dict[str, Any]:
    """Return the base job template of a type (`kubernetes`, `docker`), with this image and namespace."""
    template: dict[str, Any] = json.loads((_HERE / f"{pool_type}.json").read_text())
    properties = template["variables"]["properties"]
    for name, value in {"image": image, "namespace": namespace}.items():
        if value is not None:
            properties[name]["default"] = value
    return template


def main(arguments: Sequence[str]) -> int:
    """Print the template as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("type", choices=["kubernetes", "docker"])
    parser.add_argument("--image")
    parser.add_argument("--namespace", help="Kubernetes only")
    options = parser.parse_args(arguments)
    if options.namespace and options.type != "kubernetes":
        parser.error("--namespace is for kubernetes only")
    json.dump(
        read_template(options.type, image=options.image, namespace=options.namespace), sys.stdout, indent=2
    )
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
