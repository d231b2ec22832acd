"""Which run stands for which method of the paper."""

from collections.abc import Iterator, Mapping

from pydantic import Field

from lzn.base.sections import Section


class TablesParams(Section):
    """Which run stands in which table and figure, by the paper's name of the method; one without runs is left out."""

    unconditional: Mapping[str, Mapping[str, str]] = Field(default_factory=dict)
    """Tables 1 and 5, Figure 17: data set, then method, then run."""
    conditional: Mapping[str, str] = Field(default_factory=dict)
    """Tables 4 and 7, Figure 24."""
    classification: Mapping[str, str] = Field(default_factory=dict)
    """Table 3; Figure 25 is of the method ``rf_lzn``."""
    cutoff: Mapping[str, str] = Field(default_factory=dict)
    """Table 8."""
    linear_probe: str | None = None
    """Tables 2 and 6, Figures 18 and 20."""
    figure19: str | None = None
    """A run of its own for the four representations; None: that of ``linear_probe``, as for the other figures."""

    @property
    def representations(self) -> str | None:
        """The run of Figure 19."""
        return self.figure19 or self.linear_probe

    def gaps(self) -> Iterator[tuple[str, str, str, str]]:
        """Where all three are named: data set, unconditional RF, unconditional RF+LZN, conditional RF."""
        conditional = self.conditional.get("rf")
        for data, runs in self.unconditional.items():
            if conditional is not None and {"rf", "rf_lzn"} <= runs.keys():
                yield data, runs["rf"], runs["rf_lzn"], conditional
