"""The MLflow run of a trained seed."""

import json

from lzn_testing.projects.trained_project import RUNS

from lzn.base.sections import validate
from lzn.runs.configuration import AnyRun
from lzn.runs.trained import TrainedConfiguration
from stages.tracking.seed_identity import family_of_content, identity_of, model_key, model_name


def configuration(key: str, *, code: str = "c", **changes: object) -> TrainedConfiguration:
    run = validate({**RUNS["rf"], **changes}, AnyRun, where="rf")
    return TrainedConfiguration(name="rf", size="digits", key=key, num_classes=10, code_sha256=code, run=run)


def test_the_identity_has_the_size_the_run_its_seed_and_its_key() -> None:
    identity = identity_of(configuration("0123abcd"))
    assert (identity.experiment, identity.name, identity.key) == ("lzn-digits", "rf, seed 0", "0123abcd")


def test_seeds_with_the_same_configuration_have_the_same_parent_and_others_another() -> None:
    first = identity_of(configuration("0123abcd"))
    assert first.parent is not None
    assert first.parent.name == "rf"
    assert identity_of(configuration("4567abcd", seeds=[1])).parent == first.parent
    assert identity_of(configuration("4567abcd", code="d")).parent != first.parent


def test_the_parent_is_the_same_when_it_is_found_by_the_content_of_run_json() -> None:
    seed = configuration("0123abcd")
    content = json.loads(json.dumps(seed.model_dump(mode="json")))
    assert family_of_content(content) == identity_of(seed).parent


def test_the_models_of_a_seed_and_of_its_snapshots_have_different_keys_and_names() -> None:
    seed = configuration("0123abcd")
    assert (model_key(seed), model_name(seed)) == ("0123abcd", "rf-seed-0")
    assert (model_key(seed, step=50), model_name(seed, step=50)) == (
        "0123abcd-step-50",
        "rf-seed-0-step-50",
    )
