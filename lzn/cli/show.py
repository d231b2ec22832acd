"""What commands say: text or JSON on stdout, and nothing else there; progress on stderr, on terminals only."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

from lzn.cli.catalogue import CatalogueEntry, Number


def say(text: str, payload: object, *, as_json: bool) -> None:
    """Print a command's result: ``payload`` as JSON, or ``text``."""
    print(json.dumps(payload, indent=2) if as_json else text)


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Sends what libraries print to stderr, so that stdout holds the result alone."""
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on stderr if that is a terminal; call the result with how many were finished."""
    from tqdm import tqdm  # noqa: PLC0415 - not needed by commands that answer at once

    with tqdm(total=total, desc=name, unit="image", disable=None, leave=False) as bar:
        yield bar.update


def runs_as_json(entries: Sequence[CatalogueEntry]) -> list[dict[str, object]]:
    """For ``lzn runs --json``."""
    return [
        {
            "run": entry.facts.name,
            "study": entry.facts.study,
            "data": entry.facts.data,
            "seeds": list(entry.seeds),
            "can": [str(ability) for ability in entry.facts.abilities],
            "numbers": {name: dict(number) for name, number in entry.numbers.items()},
        }
        for entry in entries
    ]


def runs_as_text(entries: Sequence[CatalogueEntry], *, all_numbers: bool) -> str:
    """For ``lzn runs``: a line a run, and below it its numbers."""
    lines = []
    for entry in entries:
        facts = entry.facts
        seeds = ", ".join(map(str, entry.seeds))
        lines.append(f"{facts.name}  ({facts.study} on {facts.data}; seeds {seeds})")
        lines.append(f"    can {', '.join(facts.abilities)}")
        shown = entry.numbers if all_numbers else _main(entry.numbers)
        lines += [f"    {name} {format_number(number)}" for name, number in shown.items()]
        if len(shown) < len(entry.numbers):
            lines.append(f"    and {len(entry.numbers) - len(shown)} more: lzn runs --all")
    return "\n".join(lines)


_MAIN_STAGES = ("measure.", "classify.", "probe.trained.")
_MAIN_DEPTH = 4


def _main(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """The numbers of runs themselves, without those of controls and of series."""
    return {
        name: number
        for name, number in numbers.items()
        if name.startswith(_MAIN_STAGES) and name.count(".") < _MAIN_DEPTH
    }


def format_number(number: Number) -> str:
    """Mean, and deviation over seeds where there are several."""
    deviation = f" ± {number['std']:.2g}" if "std" in number else ""
    return f"{number['mean']:.4g}{deviation}"
