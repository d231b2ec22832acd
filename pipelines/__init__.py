"""Run the stages of dvc.yaml as Prefect flows: the same DAG as `dvc repro`, in parallel or on a cluster.

What is run, in the order of reading:

- `sizes`: params.yaml is the current size; other sizes are in sizes/
- `check`: validates a whole parameter file; `command` offers it as `lzn check`
- `dag`, `schedule`: the stages with their dependencies, and the order in which they start
- `dry`, `plan`: the commands, memory and cost of a size, without running it
- `memory_estimate`, `memory`: the memory that a training needs, compared with that of its GPUs
- `measured_steps`: time and memory of real training steps on this machine
- `partial_report`: tables and report of the results that exist so far
- `resources`: the work pool and GPUs of each stage

How it is run:

- `processes`: one stage as a child process
- `flow`: what the following two have in common: tasks of stages, and what Prefect's UI shows
- `local`: the flow on one machine, which uses `processes`
- `cluster`: the flow on many machines, with a DVC remote for all files
"""
