"""Run the pipeline on one machine as a Prefect flow: `python -m pipelines.local` (`make flow`).

- `__main__`: the command line; starts the flow only if a stage may have changed
- `prefect_server`: the configured Prefect server, or a temporary one
- `partial_reports`: tables and report with the results that exist so far, while the flow runs
- `flows`: the flow `reproduce-locally`, which runs the tasks of `pipelines.flow` with `pipelines.processes`
"""
