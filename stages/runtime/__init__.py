"""How a stage starts and ends, and where its files are.

Read in this order:

- `stage_main`: every stage calls `run_stage` or `run_stage_of_seeds`; both pass a `StageCall` to the stage's function.
- `outputs`: the paths of a size's files.
- `project_root`: the folder in which state lives that outlives a temporary copy of the project.
- `exclusive_work`: one of several processes does the same work, the others wait.
- `families`: reads the trained run of a call and checks that its study fits the stage.
- `process_pool`: runs the seeds of a run in parallel processes; `stage_main` calls it.
- `progress_bars`: for a terminal or a flow.
- `signals`: SIGTERM and Ctrl-C as a request to stop.
- `memory`: the peak memory of a stage, for MLflow.
- `clean_checkpoints`: the command `make clean-checkpoints`.
- `provenance`: hashes of the code that a stage runs, the commit and the hardware.
"""
