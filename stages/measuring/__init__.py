"""Numbers of a run: means and deviations over its seeds, on disk and in MLflow."""
