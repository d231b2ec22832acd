"""One module per DVC stage: it reads typed parameters and files, calls `lzn`, and writes files and numbers.

The modules in this folder are the stages of dvc.yaml, in this order: `prepare`, `features`, `train` or `import_run`,
`sample`, `measure`, `steps`, `classify`, `settings`, `probe`, `tsne`, `zones`, `tables`, `report`, `results`. No stage
imports another; each reads the files of earlier ones. The folders hold what several stages use:

- `runtime`: how a stage starts and ends, and where its files are. `tracking`: the MLflow run of each trained seed.
- `training`, `feature_extraction`, `sampling`, `probing`, `reporting`: named after what they do.
- `measuring`: numbers of each seed and their statistics, for all stages that measure a trained run.
- `serving`: the MLflow model of a run, which is not part of the DAG.
"""

import os

# Threads that wait for each other must sleep, not spin: two stages that share the cores of a machine and spin make a
# training step over ten times slower. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
