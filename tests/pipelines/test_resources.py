"""The resources of a stage, as the parameter file lists them."""

import copy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lzn.base.sections import ParamsError, read_yaml, validate
from pipelines.check import read_params
from pipelines.resources import Resources, resources_of
from stages.runtime.provenance import ROOT

FILE = ROOT / "params.yaml"
FILES = [FILE, *sorted(ROOT.glob("sizes/*.yaml"))]
CPU = Resources(pool="cpu")


def with_resources(folder: Path, resources: Any) -> Path:
    content = copy.deepcopy(read_yaml(FILE))
    file = folder / "params.yaml"
    YAML(typ="safe").dump({**content, "resources": resources}, file)
    return file


@pytest.mark.parametrize(
    ("stage", "gpus"),
    [
        ("train@rf", 2),
        ("train@joint", 8),
        ("sample@joint", 1),
        ("tables", 0),
    ],
)
def test_the_entry_of_a_stage_comes_before_that_of_its_family_and_the_default(stage: str, gpus: int) -> None:
    section = {
        "default": {"pool": "gpu", "gpus": 1},
        "train": {"pool": "gpu", "gpus": 8},
        "train@rf": {"pool": "gpu", "gpus": 2},
        "tables": {"pool": "cpu"},
    }
    resources = resources_of({"resources": section}, stage)
    assert resources == Resources(pool="gpu" if gpus else "cpu", gpus=gpus)


@pytest.mark.parametrize("wrong", [{"pool": "gpu"}, {"pool": "cpu", "gpus": 1}])
def test_a_stage_has_gpus_exactly_if_its_pool_is_gpu(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match="a gpu pool has 1 or more, a cpu pool has 0"):
        validate(wrong, Resources, where="resources.train")


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"train": {"pool": "cpu"}}, "resources.default is missing"),
        (
            {"default": {"pool": "cpu"}, "trian": {"pool": "cpu"}},
            "resources.trian: no such stage; the stages are prep",
        ),
        (
            {"default": {"pool": "cpu"}, "zones@rf": {"pool": "cpu"}},
            "resources.zones@rf: no such stage; there is zones@joint, zones@joint_no_gen",
        ),
        (
            {"default": {"pool": "cpu"}, "tables@rf": {"pool": "cpu"}},
            "resources.tables@rf: no such stage; there is tables@digits",
        ),
        ({"default": {"pool": "tpu"}}, "resources.default.pool: Input should be 'cpu' or 'gpu' (got 'tpu')"),
        (
            {"default": {"pool": "gpu", "gpus": -1}},
            "resources.default.gpus: Input should be greater than or equal",
        ),
    ],
)
def test_an_error_is_named_with_its_whole_path(tmp_path: Path, resources: Any, message: str) -> None:
    file = with_resources(tmp_path, resources)
    with pytest.raises(ParamsError) as raised:
        read_params(file)
    assert str(raised.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize("content", [{}, {"resources": None}, {"resources": {"train": {"pool": "cpu"}}}])
def test_a_file_without_the_resources_of_a_stage_is_an_error(content: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match=r"^resources "):
        resources_of(content, "tables")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_stages_that_can_have_resources_are_those_of_the_pipeline(file: Path) -> None:
    params = read_params(file)
    content = read_yaml(file)
    for name, stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items():
        instances: Any = content
        if isinstance(stage["foreach"], list):
            instances = [content["size"]]
        else:
            for key in stage["foreach"].removeprefix("${").removesuffix("}").split("."):
                instances = instances[key]
        assert params.stages[name] == set(instances)
    assert set(params.stages) == set(YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"])


def test_small_sizes_need_no_gpu_and_the_papers_trainings_need_eight() -> None:
    for file in FILES:
        content = read_yaml(file)
        names = [
            f"{stage}@{instance}" for stage, all_of in read_params(file).stages.items() for instance in all_of
        ]
        assigned = {name: resources_of(content, name) for name in names}
        if content["size"] != "paper":
            assert set(assigned.values()) == {CPU}
            continue
        assert {item.gpus for name, item in assigned.items() if name.startswith("train@")} == {8}
        on_cpu = {name.partition("@")[0] for name, item in assigned.items() if item == CPU}
        assert on_cpu == {"prepare", "tables", "report", "results"}
