"""The paper's tables, and those that the reviews and this project add, with the paper's numbers and with ours."""

from stages.paper_tables.all_tables import fill_tables
from stages.paper_tables.numbers import paper_numbers
from stages.paper_tables.params import TablesParams

__all__ = ["TablesParams", "fill_tables", "paper_numbers"]
