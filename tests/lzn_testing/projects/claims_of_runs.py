"""The claims of the paper about runs of all studies with made-up numbers."""

from collections.abc import Mapping

from lzn_testing.projects.numbers_of_runs import NumbersOfRuns
from stages.reporting.claims import Claim, all_claims
from stages.reporting.tables import TablesParams

FACES = "celeba_hq"
RUNS = {
    "rf": "cifar10",
    "rf_lzn": "cifar10",
    "rf_faces": FACES,
    "rf_lzn_faces": FACES,
    "rf_conditional": "cifar10",
    "joint": "cifar10",
    "joint_no_gen": "cifar10",
    "joint_u5": "cifar10",
    "representation": "imagenet",
    "small_representation": "digits",
}
PARAMS = TablesParams.model_validate(
    {
        "unconditional": {
            "cifar10": {"rf": "rf", "rf_lzn": "rf_lzn"},
            FACES: {"rf": "rf_faces", "rf_lzn": "rf_lzn_faces"},
        },
        "conditional": {"rf": "rf_conditional", "rf_lzn": "joint"},
        "classification": {"rf_lzn_no_gen": "joint_no_gen", "rf_lzn": "joint"},
        "cutoff": {"rf": "rf_conditional", "rf_lzn_u20": "joint", "rf_lzn_u5": "joint_u5"},
        "linear_probe": "representation",
        "figure19": "small_representation",
    }
)
ENCODING = ("rf_lzn", "joint")


def claims_of(numbers: NumbersOfRuns) -> Mapping[str, Claim]:
    """Return the claims by statement."""
    for run, data in RUNS.items():
        if not numbers.paths.trained_seeds(run):
            numbers.train(run, data)
    if not numbers.results.has("probe", "representation"):
        numbers.write("probe", "representation", [{"trained": {"without_head": {"top1": 0.5}}}])
    claims = all_claims(PARAMS, {"encoding": dict.fromkeys(ENCODING, "cifar10")}, numbers.results)
    return {claim.statement: claim for claim in claims}
