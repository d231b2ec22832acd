"""Real servers and programs that tests start: MLflow, Prefect, Slurm, Chromium, web servers."""
