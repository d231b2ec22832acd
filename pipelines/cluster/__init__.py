"""Run the stages of `dvc repro` on many machines: Prefect starts them, and a DVC remote stores all files.

In the order of reading:

- `flows`: the flows of prefect.yaml. `reproduce` starts each stage as a flow run of `run-stage`
- `names`: names in the parameters of flows
- `launching`, `stage_runs`: one stage of `reproduce`, and its requests to Prefect's server
- `worker`: what `run-stage` does on a machine
- `remote`: the DVC remote, by which both know which stages have outputs
- `changed_sources`: data sets whose files have changed are prepared again
- `collector`: outputs in one folder with its dvc.lock
- `deploy`, `server_setup`: work pools, limits, automations and deployments on a Prefect server
"""
