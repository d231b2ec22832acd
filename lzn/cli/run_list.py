"""The list of trained runs that ``lzn runs`` prints, as JSON and as text."""

from collections.abc import Mapping, Sequence

from lzn.base.number_format import with_deviation
from lzn.cli.catalogue import CatalogueEntry, Number
from lzn.inference.class_names import describe_classes

_MAIN_STAGES = ("measure.", "classify.", "probe.trained.")
_MAIN_DEPTH = 4


def runs_as_json(entries: Sequence[CatalogueEntry]) -> list[dict[str, object]]:
    """Return one object for each run."""
    return [
        {
            "run": entry.facts.name,
            "study": entry.facts.study,
            "data": entry.facts.data,
            "seeds": list(entry.seeds),
            "num_classes": entry.facts.num_classes,
            "classes": list(entry.facts.class_names),
            "can": [str(ability) for ability in entry.facts.abilities],
            "numbers": {name: dict(number) for name, number in entry.numbers.items()},
            "models": {str(seed): model for seed, model in entry.models.items()},
        }
        for entry in entries
    ]


def runs_as_text(entries: Sequence[CatalogueEntry], *, all_numbers: bool) -> str:
    """Return one line for each run and, indented below it, its abilities and numbers."""
    lines = []
    for entry in entries:
        facts = entry.facts
        seeds = ", ".join(map(str, entry.seeds))
        lines.append(f"{facts.name}  ({facts.study} on {facts.data}; seeds {seeds})")
        lines.append(f"    can {', '.join(facts.abilities)}")
        if facts.takes_class or facts.has_labels:
            lines.append(f"    has {describe_classes(facts.class_names, facts.num_classes)}")
        shown = entry.numbers if all_numbers else _main_numbers(entry.numbers)
        lines += [
            f"    {name} {with_deviation(number['mean'], number.get('std'))}"
            for name, number in shown.items()
        ]
        if len(shown) < len(entry.numbers):
            lines.append(f"    and {len(entry.numbers) - len(shown)} more: lzn runs --all")
    return "\n".join(lines)


def _main_numbers(numbers: Mapping[str, Number]) -> dict[str, Number]:
    """Return the numbers of the run itself, without control experiments and sweeps."""
    return {
        name: number
        for name, number in numbers.items()
        if name.startswith(_MAIN_STAGES) and name.count(".") < _MAIN_DEPTH
    }
