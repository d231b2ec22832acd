"""Slow, literal versions of the paper's formulas, closed forms, and seeded problems to compare with."""
