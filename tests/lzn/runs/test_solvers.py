"""Parameters of latent solvers build the solvers of the library."""

import pytest
from pydantic import TypeAdapter, ValidationError

from lzn.flow import Adams, DPMSolver, Euler, Solver
from lzn.runs.solvers import SolverParams

params = TypeAdapter(SolverParams)


@pytest.mark.parametrize(
    ("given", "built"),
    [
        ({"kind": "euler", "num_steps": 20}, Euler(num_steps=20, g=1e-4)),
        ({"kind": "dpm", "num_steps": 20}, DPMSolver(num_steps=20, g=1e-3)),
        ({"kind": "adams", "num_steps": 10, "straight_until": 0.4}, Adams(num_steps=10, straight_until=0.4)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_solver_is_built_with_the_paper_s_defaults(given: dict[str, object], built: Solver) -> None:
    assert params.validate_python(given).build() == built


def test_adams_needs_straight_until_above_g() -> None:
    with pytest.raises(ValidationError, match=r"straight_until must be above g, 0\.5; got 0\.4"):
        params.validate_python({"kind": "adams", "num_steps": 10, "g": 0.5, "straight_until": 0.4})
