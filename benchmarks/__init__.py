"""Performance as ratios measured in one run; commands, never tests. Results lie beside them as JSON.

Each topic is a command, `python -m benchmarks.<topic>`, that prints its table and writes ``<topic>.json``:
``latents``, ``alignment``, ``steps``, ``sampling`` and ``accuracy``. ``python -m benchmarks.table`` makes one table of
what all of them found. ``python -m benchmarks.run_times`` says how long the runs of a size train.
"""
