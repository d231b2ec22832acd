"""What the flows on one machine and on a cluster have in common, and what both show in Prefect's UI.

In the order of reading:

- `stage_tasks`: one task per stage; the graph of a flow run shows the DAG
- `preview`: the list of stages that a flow is about to run
- `progress`: progress artifacts from the output of long stages
- `publishing`: claims, tables and links to MLflow as artifacts; a missing server never fails a flow
- `messages`: texts that Prefect's server accepts
"""
