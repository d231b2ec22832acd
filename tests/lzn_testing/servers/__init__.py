"""Real servers and programs that tests start, and clients for them.

- Any test: `mlflow_runs` (MLflow), `file_server` and `model_hub` (web servers), `chromium`.
- Prefect: `prefect_with_password` starts a server, `prefect_api` is its client. `deployed_flows` has a flow that
  blocks, `held_run` starts it; `pilot_flow` is for `one_node_slurm`, a Slurm cluster of two nodes on this machine.
- `infra/`: `infra_files` reads its files, `container_servers` starts the commands of compose.yaml without containers.
- The whole stack: `stack_folders` starts it, `fault_drill` breaks parts of it, `other_machine` adds workers.
"""
