"""A trained run as an MLflow model, which ``mlflow models serve`` answers requests with."""
