"""The section ``tables`` of params.yaml: which run stands for which method of the paper."""

from collections.abc import Iterator, Mapping

from pydantic import Field

from lzn.base.sections import Key, Section


class TablesParams(Section):
    """The run of each table and figure by the paper's name of the method; a table without runs is left out."""

    unconditional: Mapping[Key, Mapping[str, str]] = Field(default_factory=dict)
    """Tables 1 and 5, Figure 17: data set, then method, then run."""
    conditional: Mapping[str, str] = Field(default_factory=dict)
    """Tables 4 and 7, Figure 24."""
    classification: Mapping[str, str] = Field(default_factory=dict)
    """Table 3. Figure 25 uses the run of ``rf_lzn``."""
    cutoff: Mapping[str, str] = Field(default_factory=dict)
    """Table 8."""
    linear_probe: str | None = None
    """Tables 2 and 6, Figures 18 and 20."""
    figure19: str | None = None
    """The run of Figure 19, with the four representations; None: the run of ``linear_probe``."""

    @property
    def representations(self) -> str | None:
        """The run of Figure 19."""
        return self.figure19 or self.linear_probe

    def gaps(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield data set, unconditional RF, unconditional RF+LZN and conditional RF, where all three runs are named."""
        conditional = self.conditional.get("rf")
        for data, runs in self.unconditional.items():
            if conditional is not None and {"rf", "rf_lzn"} <= runs.keys():
                yield data, runs["rf"], runs["rf_lzn"], conditional
