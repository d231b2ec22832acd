"""A run: its typed configuration, and what a training of one of its seeds leaves on disk.

`configuration` has one type for each case study; it is built from `solvers`, `samplers` and `augmentations`. `trained`
reads and writes the folder of a trained seed, `curves` its training curve.
"""
