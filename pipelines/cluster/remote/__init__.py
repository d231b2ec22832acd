"""The DVC remote that all machines of a cluster share.

- `run_cache`: the entry with the outputs of a stage for given inputs
- `resolution`: which stages of a DAG have such an entry
- `files`: fetch and push outputs, find and delete damaged ones, retry while the remote is unavailable
"""
