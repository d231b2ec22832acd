"""The claims of the paper with made-up outputs, whose verdicts are known."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from lzn_testing.projects.made_up_outputs import TABLES, MadeUpOutputs

from stages.measuring.quantity import Quantity
from stages.reporting.claims import Claim, all_claims, claims_to_columns, claims_to_json, claims_to_markdown
from stages.reporting.claims.claim import share_of_gains
from stages.reporting.results import Results
from stages.reporting.tables import TablesParams
from stages.reporting.verdict import Verdict

PARAMS = TablesParams.model_validate(TABLES)


def claims_of(outputs: MadeUpOutputs) -> Mapping[str, Claim]:
    claims = all_claims(PARAMS, outputs.params["families"], Results(outputs.paths))
    assert len({claim.statement for claim in claims}) == len(claims)
    return {claim.statement: claim for claim in claims}


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ("RF+LZN has a better FID than RF", Verdict.HOLDS),  # 12 -> 8 in every seed
        ("RF+LZN reconstructs images better than RF", Verdict.FAILS),
        ("Three implementations of FID rank RF and RF+LZN in the same order", Verdict.NOT_MEASURABLE),
        ("RF+LZN is better at most numbers of Euler steps", Verdict.HOLDS),
        ("Joint training improves classification: more accurate with generation than without", Verdict.FAILS),
        ("The number u of early steps left out hardly matters for accuracy (u = 20 → u = 5)", Verdict.HOLDS),
        ("Of the four representations, latents are the worst", Verdict.HOLDS),
        (
            "A linear classifier is more accurate on LZN's representations than on MoCo's",
            Verdict.NOT_MEASURABLE,
        ),
        (
            "Classes are clusters in the t-SNE plane: their deviations are small compared with that of all points",
            Verdict.HOLDS,
        ),
        ("Larger batches classify better", Verdict.HOLDS),
        ("About half of the latents stay in their zone when the rest of the batch is redrawn", Verdict.HOLDS),
    ],
)
def test_a_claim_gets_the_verdict_of_its_numbers(folder: Path, statement: str, verdict: Verdict) -> None:
    claim = claims_of(MadeUpOutputs(folder))[statement]
    assert claim.verdict is verdict
    assert claim.note
    assert bool(claim.ours) == bool(claim.evidence) == (verdict is not Verdict.NOT_MEASURABLE)


def test_a_claim_is_undecided_if_two_seeds_disagree(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    outputs.write_measured("measure", "rf_lzn", {0: {"fd_digits": 11.0}, 1: {"fd_digits": 13.0}})
    claim = claims_of(outputs)["RF+LZN has a better FID than RF"]
    assert claim.verdict is Verdict.UNDECIDED
    assert claim.quantity is not None
    assert claim.quantity.by_seed == pytest.approx({0: 1.0, 1: 12 * 1.02 - 13})


def test_the_evidence_names_a_single_seed(folder: Path) -> None:
    claims = claims_of(MadeUpOutputs(folder, seeds=[0]))
    claim = claims["RF+LZN has a better FID than RF"]
    assert claim.verdict is Verdict.HOLDS
    assert claim.evidence == "+4, one seed; claimed: above 0"
    assert claim.ours == "12 → 8"


def test_the_share_of_gains_counts_comparisons_seed_by_seed() -> None:
    gains = [Quantity({0: 1.0, 1: -1.0}), Quantity({0: 2.0, 1: 3.0}), Quantity({0: 0.0, 1: 1.0, 2: 1.0})]
    share = share_of_gains(gains)
    assert share is not None
    assert share.by_seed == pytest.approx(
        {0: 200 / 3, 1: 200 / 3}
    )  # zero is no gain, seed 2 lacks comparisons
    assert share_of_gains([]) is None


def test_the_best_setting_is_named_and_compared_with_the_setting_of_training(folder: Path) -> None:
    claims = claims_of(MadeUpOutputs(folder))
    claim = claims["The best batch size and alpha are better than those of training with alpha = 1"]
    assert "batches of 360, alpha = 0" in claim.note
    assert claim.quantity is not None
    # The made-up accuracies: 0.8 + 0.0003 * batch size - 0.05 * alpha; the training's batch size is 128.
    assert claim.quantity.by_seed[0] == pytest.approx(100 * (0.0003 * (360 - 128) + 0.05))


def test_implementations_of_fid_agree_only_if_all_gains_have_the_same_sign(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    statement = "Three implementations of FID rank RF and RF+LZN in the same order"
    rf = {"fid": 6.95, "fid_rf": 7.0, "fid_clean": 7.1}
    for lzn, verdict in (
        (
            {"fid": 7.17, "fid_rf": 7.23, "fid_clean": 7.31},
            Verdict.HOLDS,
        ),  # the same order, although RF+LZN is worse
        ({"fid": 7.17, "fid_rf": 6.9, "fid_clean": 7.31}, Verdict.FAILS),
    ):
        outputs.write_measured("measure", "rf", dict.fromkeys((0, 1), rf))
        outputs.write_measured("measure", "rf_lzn", dict.fromkeys((0, 1), lzn))
        assert claims_of(outputs)[statement].verdict is verdict


def test_claims_whose_stages_have_not_run_give_the_reason(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    for stage in ("steps", "settings", "tsne", "zones"):
        outputs.remove(stage)
    claims = claims_of(outputs)
    missing = [claim for claim in claims.values() if claim.verdict is Verdict.NOT_RUN_YET]
    assert {claim.note for claim in missing} == {
        "not run yet: steps@rf, steps@rf_lzn",
        "not run yet: steps@rf_conditional, steps@joint",
        "not run yet: settings@joint",
        "not run yet: tsne@representation",
        "not run yet: zones@rf_lzn, zones@joint",
    }


def test_no_claim_is_measurable_without_runs_but_all_are_listed(folder: Path) -> None:
    outputs = MadeUpOutputs(folder)
    claims = all_claims(TablesParams(), {}, Results(outputs.paths))
    assert {claim.verdict for claim in claims} == {Verdict.NOT_MEASURABLE}
    assert {claim.study for claim in claims} >= {"Representations", "Classification", "Latent zones"}


def test_claims_are_written_with_rule_verdict_and_evidence(folder: Path) -> None:
    claims = list(claims_of(MadeUpOutputs(folder)).values())
    content = json.loads(json.dumps(claims_to_json(claims), allow_nan=False))
    assert "95 %" in content["rule"]
    first = content["claims"][0]
    assert first["verdict"] == "holds"
    assert first["evidence"]["interval"][0] > 0
    assert first["evidence"]["above"] == 0
    columns = claims_to_columns(claims)
    assert {len(column) for column in columns.values()} == {len(claims)}
    markdown = claims_to_markdown(claims, size="tiny")
    assert all(claim.statement in markdown for claim in claims)
    title, counts, table, *_ = markdown.split("\n\n")
    assert title == "# The paper's claims at size tiny"
    holds = sum(claim.verdict is Verdict.HOLDS for claim in claims)
    assert counts.startswith(f"Number of claims by verdict: holds {holds}, ")
    assert "| 1  | ✓ holds " in table
