"""Serving: a trained run as an MLflow model for ``mlflow models serve``.

- `command`: ``lzn register``. It calls `registry`, which stores a seed as a model version with an alias.
- `packing`: writes and opens the folder of model files; `registry` writes it, `mlflow_model` opens it.
- `mlflow_model`: the model's code, which MLflow runs in the server. It passes requests to `requests`.
- `requests`: the parameters, checks and answers of requests, by `lzn.inference`.
"""
