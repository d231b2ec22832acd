"""The DAG as a Prefect flow on one machine: python -m pipelines.local."""
