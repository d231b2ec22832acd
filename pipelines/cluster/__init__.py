"""The DAG of `dvc repro` spread over machines: Prefect says where a stage runs, a DVC remote carries all files."""
