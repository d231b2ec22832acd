"""The MLflow run of a trained seed."""

from lzn_testing.projects.trained_project import RUNS

from lzn.base.sections import validate
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration
from stages.tracking.seed_identity import identity_of


def test_the_identity_has_the_size_the_run_its_seed_and_its_key() -> None:
    run = validate(RUNS["rf"], AnyRun, where="rf")
    configuration = TrainedConfiguration(name="rf", size="digits", key="0123abcd", num_classes=10, run=run)
    identity = identity_of(configuration)
    assert (identity.experiment, identity.name, identity.key) == ("lzn-digits", "rf, seed 0", "0123abcd")
