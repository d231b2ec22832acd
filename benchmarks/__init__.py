"""Benchmarks: times and memory of our code, relative to reference code that is measured in the same run.

- Topics: ``latents``, ``alignment``, ``steps``, ``micro_batches``, ``sampling``, ``accuracy``, and ``orchestration``
  with real servers. Each is a command, `python -m benchmarks.<topic>`, that prints a table and writes ``<topic>.json``.
- Reference code: ``literal`` is the flow as its formulas are written, ``plain`` a training step with it, ``products``
  the matrix products that the flow needs.
- Shared by topics: ``measuring`` (seconds, peak memory), ``comparison``, ``reports``, ``machine``. ``small_project``
  makes a copy of the project with small trainings.
- ``table`` prints the table of all findings; ``run_times`` estimates the training times of a size.
"""
