"""Print the address of a size's runs in MLflow: ``python -m stages.tracking.view SIZE``; ``make ui`` calls it."""

import argparse

from stages.tracking.environment import set_client_defaults, tracking_uri
from stages.tracking.lookup import LOCAL_UI, interface_of
from stages.tracking.saved_views import OURS_BESIDE_THE_PAPERS, TAG, view_address


def address(size: str, *, local: str = LOCAL_UI) -> str:
    """Return the address of the view "Ours beside the paper's", or of the runs if the size has no such view yet.

    Args:
        size: such as ``digits``.
        local: address of a user interface on this machine, which shows the runs of a database.
    """
    set_client_defaults()
    from stages.tracking import server  # noqa: PLC0415 - imports MLflow
    from stages.tracking.stored_runs import find_experiment  # noqa: PLC0415 - imports MLflow

    uri = tracking_uri()
    interface = interface_of(uri, local=local)
    everything = f"{interface}/#/experiments?workflowType=machine_learning"
    try:
        with server.quiet_retries():
            experiment = find_experiment(uri, f"lzn-{size}")
    except server.FAILURES:
        return everything
    if f"{TAG}{OURS_BESIDE_THE_PAPERS}" not in experiment.tags:
        return f"{interface}/#/experiments/{experiment.experiment_id}/runs?workflowType=machine_learning"
    return view_address(interface, experiment.experiment_id)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m stages.tracking.view", description=__doc__)
    parser.add_argument("size")
    parser.add_argument("--local", default=LOCAL_UI, help="address of the user interface on this machine")
    arguments = parser.parse_args()
    print(address(arguments.size, local=arguments.local))
