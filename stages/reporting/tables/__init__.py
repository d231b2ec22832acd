"""The paper's tables, and those that the reviews and this project add, with the paper's numbers and with ours."""

from stages.reporting.tables.all_tables import fill_tables
from stages.reporting.tables.numbers import paper_numbers
from stages.reporting.tables.params import TablesParams

__all__ = ["TablesParams", "fill_tables", "paper_numbers"]
