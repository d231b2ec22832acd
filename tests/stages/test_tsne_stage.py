"""The stage tsne: points of random classes, and the spread of classes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from lzn_testing.projects.small_runs import OUTPUTS, call, prepare_digits, write_params, write_run

from lzn.base.sections import ParamsError, validate
from lzn.data.prepared import read_split
from stages.tsne import TsneParams, choose_images, measure_tsne

TSNE: dict[str, Any] = {
    "seed": 0, "representation": "without_head", "num_classes": 4, "images_per_class": 20, "batch_size": 40,
    "perplexity": 8.0,
}  # fmt: skip


def write_tsne(**changes: Any) -> None:
    write_params(tsne={"digits": {**TSNE, **changes}})


def params(**changes: Any) -> TsneParams:
    found: TsneParams = validate({**TSNE, **changes}, TsneParams, where="tsne")
    return found


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("tsne"))
        write_tsne()
        prepare_digits()
        write_run("representation", seeds=[0, 1])
        write_run("rf")
        yield


def points() -> np.ndarray:
    return np.loadtxt(OUTPUTS.plot("tsne", "representation.csv"), delimiter=",", skiprows=1)


def test_the_numbers_are_those_of_the_points_of_the_first_seed() -> None:
    found: Any = measure_tsne(call("representation"))
    x, y, label = points().T
    assert len(found["classes"]) == 4
    assert [int((label == int(name)).sum()) for name in found["classes"]] == [20] * 4
    for name, spread in found["classes"].items():
        of_class = label == int(name)
        assert spread["mean_1"] == pytest.approx(x[of_class].mean())
        assert spread["std_2"] == pytest.approx(y[of_class].std())
    assert found["all"]["std_1"] == pytest.approx(x.std())
    # An untrained encoder separates digits a little.
    assert 0 < found["relative_std"] < 1


def test_another_seed_maps_the_same_images_differently_and_does_not_write_points() -> None:
    first: Any = measure_tsne(call("representation", seed=0))
    before = points()
    second: Any = measure_tsne(call("representation", seed=1))
    assert second["classes"].keys() == first["classes"].keys()
    assert second != first
    assert np.array_equal(points(), before)
    assert measure_tsne(call("representation", seed=0)) == first


def test_classes_and_images_depend_on_the_seed_and_all_are_used_if_there_are_fewer() -> None:
    test = read_split(OUTPUTS.folder("prepare", "digits"), "test")
    chosen = choose_images(test, params())
    assert np.array_equal(chosen, choose_images(test, params()))
    assert len(chosen) == len(set(chosen)) == 80
    assert len(np.unique(test.labels[chosen])) == 4
    others = [set(np.unique(test.labels[choose_images(test, params(seed=seed))])) for seed in range(5)]
    assert any(other != others[0] for other in others)
    assert len(choose_images(test, params(num_classes=20, images_per_class=1000))) == len(test)


def test_the_representation_changes_the_numbers() -> None:
    without_head: Any = measure_tsne(call("representation"))
    write_tsne(representation="with_latent")
    with_latent: Any = measure_tsne(call("representation"))
    write_tsne()
    assert with_latent["all"] != without_head["all"]


def test_the_error_of_a_wrong_run_or_parameter_names_it() -> None:
    with pytest.raises(ParamsError, match=r"'generation', .* remove it from families\.representing"):
        measure_tsne(call("rf"))
    write_tsne(perplexity=80.0)
    with pytest.raises(ParamsError, match=r"tsne\.digits: perplexity must lie between 0 and the 80 samples"):
        measure_tsne(call("representation"))
    write_tsne()
