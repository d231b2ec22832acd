"""Helpers for tests with several processes.

- `real_processes`: run a function in several processes, connected as `torchrun` connects them; `process_jobs` has
  functions to run.
- `process_info`: command lines and environments of running processes. `waiting`: wait for a condition.
"""
