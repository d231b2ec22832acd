"""Serving: a trained run as an MLflow model for ``mlflow models serve``.

- `command`: ``lzn register``. It checks the `quality` of a run, and calls `registry`, which makes the model that the
  training logged a version with an alias.
- `saved_model`: writes a seed in MLflow's format, at the end of a training or for `registry`.
- `packing`: writes and opens the folder of model files; `saved_model` writes it, `mlflow_model` opens it.
- `mlflow_model`: the model's code, which MLflow runs in the server. It passes requests to `requests`.
- `strict_requests`: refuses what MLflow would ignore.
- `request_limits`: size, time and number of requests that a server handles.
- `requests`: the parameters, checks and answers of requests, by `lzn.inference`.
"""
