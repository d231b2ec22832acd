"""Abilities of runs, and the message about a missing one."""

import pytest
from lzn_testing.projects.trained_project import RUNS

from lzn.inference.abilities import Ability, UnsupportedAbilityError
from lzn.inference.classification import classify
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun

ABILITIES = {
    "joint": ["sample", "classify", "embed", "reconstruct"],
    "joint_no_gen": ["classify", "embed"],
    "rf": ["sample", "reconstruct"],
    "rf_conditional": ["sample", "reconstruct"],
    "rf_lzn": ["sample", "embed", "reconstruct"],
    "representation": ["embed"],
}


@pytest.mark.parametrize("name", ABILITIES)
def test_a_run_has_the_abilities_of_its_study(name: str, opened: dict[str, LoadedRun]) -> None:
    assert [str(ability) for ability in opened[name].facts.abilities] == ABILITIES[name]


@pytest.mark.parametrize("name", RUNS)
def test_facts_read_without_torch_are_those_of_the_model(name: str, opened: dict[str, LoadedRun]) -> None:
    facts, model = opened[name].facts, opened[name].trained.model
    decoder = getattr(model, "decoder", None)
    assert facts.has_encoder == (getattr(model, "encoder", None) is not None)
    assert facts.has_decoder == (decoder is not None)
    assert facts.takes_class == (decoder is not None and decoder.num_classes > 0)
    assert facts.has_labels == hasattr(model, "label_anchors")


def test_the_message_about_a_missing_ability_says_why_and_which_runs_have_it(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    facts = [run.facts for run in opened.values()]
    with pytest.raises(
        UnsupportedAbilityError, match=r"run rf cannot classify: it has no label anchors .*; it can sample"
    ):
        classify(opened["rf"], images)
    with pytest.raises(UnsupportedAbilityError, match="runs that can: joint, joint_no_gen"):
        opened["rf"].facts.require(Ability.CLASSIFY, others=facts)
