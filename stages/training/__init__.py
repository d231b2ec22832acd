"""What the stages `train` and `import_run` use.

- `launch`: starts the workers of a training on several devices; `train` calls it first.
- `resumption`: whether a training continues from its checkpoint, or starts again because its code has changed.
- `code_history`: the code that a training ran; `resumption` and `recording` record it.
- `recording`: callbacks of a training that log to MLflow and write snapshots, curve and weights; `train` uses it.
- `live_curve`: the curve as a file that grows during the training; `recording` writes it.
- `models`: logs the trained model and its snapshots to MLflow; `recording` and `import_run` call it.
- `downloads`: downloads files into a cache; `import_run` calls it.
"""
