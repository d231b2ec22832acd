"""Functions in several real processes, and what processes show of themselves."""
