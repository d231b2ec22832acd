"""Where and when DVC's stages run: the same DAG as `dvc repro`, as Prefect flows."""
