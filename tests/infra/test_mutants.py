"""Which tests `make mutants` runs for a module."""

import pytest
from lzn_testing.mutants import mirrored_folder, patterns_of


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("lzn/metrics/probe.py", "tests/lzn/metrics"),
        ("lzn/flow/solvers.py", "tests/lzn/flow"),
        ("stages/reporting/claims/gap.py", "tests/stages/reporting/claims"),
        ("stages/reporting/claims/", "tests/stages/reporting/claims"),
        (
            "stages/reporting/tables/gap.py",
            "tests/stages/reporting",
        ),  # the folder tables has no tests of its own
        ("pipelines/cluster/remote/run_cache.py", "tests/pipelines/cluster"),
    ],
)
def test_the_mirrored_folder_a_module_are_those_of_the_nearest_mirrored_folder(
    module: str, tests: str
) -> None:
    assert mirrored_folder(module) == tests


def test_a_module_of_no_package_is_refused() -> None:
    with pytest.raises(ValueError, match="infra/validate is in none of the packages lzn, stages, pipelines"):
        mirrored_folder("infra/validate")


def test_files_are_their_own_pattern_and_folders_mean_all_files_in_them() -> None:
    assert patterns_of(["lzn/flow/", "stages/tables.py"]) == ["lzn/flow/*", "stages/tables.py"]
