"""Run stages as child processes of a flow, and leave none of them behind.

In the order of reading:

- `signals`: SIGINT, SIGTERM and SIGHUP as a request to stop
- `line_reader`: the output of a child process, line by line; `progress_lines`: the progress in a line
- `commands`: run one command with a time limit, and end all of its processes
- `exclusive_project`: one flow at a time in a project
- `dvc_lock`: dvc.lock as `dvc repro` writes it, although stages run in parallel
- `stage_runner`: run one DVC stage with `commands`
- `guard`: a process that ends the stages of a flow that was killed
"""
