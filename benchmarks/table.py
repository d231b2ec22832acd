"""Print the table in benchmarks/README.md: the findings of all benchmarks, from the JSON files.

python -m benchmarks.table
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.reports import FOLDER, TOPICS

VERDICTS = {True: "yes", False: "**no**", None: ""}


def table(folder: Path = FOLDER) -> str:
    """Return the findings in Markdown, by topic, with the machines below; topics without a file are left out."""
    reports = [json.loads(file.read_text()) for file in _files(folder)]
    lines = ["| | measured | goal | reached |", "|---|---|---|---|"]
    for report in reports:
        lines.append(f"| **{report['title']}** | | | |")
        for finding in report["findings"]:
            cells = (finding["what"], finding["measured"], finding["goal"], VERDICTS[finding["reached"]])
            lines.append(f"| {' | '.join(cells)} |")
    machines = sorted({_describe(report["machine"]) for report in reports})
    return "\n".join([*lines, "", *machines]) + "\n"


def _files(folder: Path) -> Iterator[Path]:
    return (file for topic in TOPICS if (file := folder / f"{topic}.json").exists())


def _describe(machine: Mapping[str, Any]) -> str:
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores ({machine['threads']} threads), "
        f"{machine['memory_gib']} GiB, torch {machine['torch']}, commit {machine['commit']}."
    )


if __name__ == "__main__":
    print(table(), end="")
