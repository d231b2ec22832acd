"""All services of a stack, in the order in which they start."""

from infra.stack.credentials import load_credentials, load_ports
from infra.stack.environment import read_env_file
from infra.stack.layout import Layout
from infra.stack.mlflow_server import mlflow_service
from infra.stack.postgres import postgres_service
from infra.stack.prefect_server import deploy_step, prefect_service, worker_services
from infra.stack.s3 import s3_service
from infra.stack.service import Service


def stack_services(layout: Layout, *, workers: int, gpus: int) -> list[Service]:
    """Return the servers and, if `workers` is not 0, the step `deploy` and the workers.

    Raises StackError if a program is not installed; the message says how to install it.
    """
    credentials, ports = load_credentials(layout), load_ports(layout)
    servers = [make(layout, credentials, ports) for make in (postgres_service, s3_service, mlflow_service)]
    servers.append(prefect_service(layout, credentials, ports))
    if not workers:
        return servers
    variables = read_env_file(layout)
    running = worker_services(layout, credentials, ports, variables, workers=workers, gpus=gpus)
    return [*servers, deploy_step(layout, variables), *running]
