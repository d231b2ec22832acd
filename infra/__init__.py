"""What a team deploys: servers, container images, Kubernetes manifests and Slurm jobs.

Read `README.md` first. The Python files:

- `stack/`: all servers on one machine without containers (`make stack`).
- `make_env`: write random passwords for containers and Kubernetes.
- `provision`: make databases and buckets on running servers, with `databases` and `buckets`, which `stack/` also uses.
- `worker`: a Prefect worker that lets its flow runs save their work before it ends.
- `work_pools/`: templates of Prefect work pools whose flow runs are containers.
- `validate`: check compose.yaml and the manifests (`make validate-infra`).
"""
