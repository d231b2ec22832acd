"""dvc.lock does not depend on the order in which stages end."""

import pytest
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages
from hypothesis import given
from hypothesis import strategies as st

from pipelines.dag import read_dag
from pipelines.processes.dvc_lock import dvc_lock_in_plan_order, ordered_keys

KEYS = st.lists(st.sampled_from("abcdef"), unique=True)


@given(former=KEYS, planned=KEYS, present=KEYS)
def test_ordering_keeps_all_keys_and_the_order_of_former_ones(former, planned, present):
    keys = ordered_keys(former, planned, present)

    assert sorted(keys) == sorted(present)
    assert [key for key in keys if key in former] == [key for key in former if key in present]
    new = [key for key in keys if key in planned and key not in former]
    assert new == [key for key in planned if key in present and key not in former]


def test_dvc_lock_has_the_bytes_that_dvc_repro_writes_in_any_order_of_stages(toy_repository):
    # Numbers, quotes and long lines have several forms in YAML; each must keep DVC's form.
    long_command = "echo '" + 'a long command: with # and "quotes" ' * 6 + "' > last.txt"
    roots = [
        toy_repository(
            folder,
            first=("echo > first.txt", [], ["first.txt"]),
            second=("cat first.txt > second.txt", ["first.txt"], ["second.txt"]),
            last=(long_command, [], ["last.txt"]),
        )
        for folder in ("plain", "shuffled")
    ]
    for root in roots:
        (root / "params.yaml").write_text("rate: 1e-5\nratio: 1.0e+3\nname: '07'\nflag: yes\nempty: null\n")
        definition = (root / "dvc.yaml").read_text()
        params = "params: [rate, ratio, name, flag, empty]\n    outs:\n    - second.txt"
        (root / "dvc.yaml").write_text(definition.replace("outs:\n    - second.txt", params))
    plain, shuffled = roots

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(plain)
        with Repo() as repo:
            repo.reproduce()
        patch.chdir(shuffled)
        with Repo() as repo, dvc_lock_in_plan_order(read_dag()):
            for name in ("last", "first", "second"):
                assert collect_stages(repo, [name])
                repo.reproduce(name, single_item=True)
            assert (shuffled / "dvc.lock").read_bytes() != (plain / "dvc.lock").read_bytes()

    assert (shuffled / "dvc.lock").read_bytes() == (plain / "dvc.lock").read_bytes()
