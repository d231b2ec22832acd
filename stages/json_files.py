"""JSON that is the same for the same content."""

import json
from pathlib import Path


def write_json(file: Path, content: object) -> None:
    """JSON that is the same for the same content, and readable in a diff."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
