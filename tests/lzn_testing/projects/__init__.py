"""Project folders for tests.

- `stage_folder`: a folder in which stages are started as processes; `train_folder` starts and disturbs trainings in it.
- `small_runs`: runs of params.yaml with few training steps, for tests of stages that measure a run.
- `trained_project`: one run of each study, for tests of inference. `import_project`: imports of small checkpoints.
- `made_up_outputs`: outputs of all measuring stages without any computation, for tests of tables and report.
- `numbers_of_runs`: only the numbers that a test writes, for claims and tables.
- `claims_of_runs`, `claim_numbers`: the claims about made-up runs, and numbers for each claim of the paper.
- `made_up_entries`: a DVC pipeline whose run-cache has made-up entries.
- `drill_project`, `toy_cluster`: repositories for tests of pipelines with faults and of cluster workers.
- `made_once`: files that take seconds to make, shared by all processes of a test run.
"""
