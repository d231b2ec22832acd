"""Sampling images batch by batch, resumably, and grids of them."""
