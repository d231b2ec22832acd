"""Parameters of the solvers of the latent flow, chosen by ``kind`` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lzn.base.sections import Section
from lzn.flow import Adams, DPMSolver, Euler


class EulerParams(Section):
    """Euler's method (section 1)."""

    kind: Literal["euler"]
    num_steps: Annotated[int, Field(ge=1)]
    g: Annotated[float, Field(gt=0, lt=1)] = 1e-4

    def build(self) -> Euler:
        """Return the solver."""
        return Euler(num_steps=self.num_steps, g=self.g)


class DPMSolverParams(Section):
    """DPM-Solver++ (section 1)."""

    kind: Literal["dpm"]
    num_steps: Annotated[int, Field(ge=1)]
    g: Annotated[float, Field(gt=0, lt=0.5)] = 1e-3

    def build(self) -> DPMSolver:
        """Return the solver."""
        return DPMSolver(num_steps=self.num_steps, g=self.g)


class AdamsParams(Section):
    """The Adams-Bashforth method; not in the paper."""

    kind: Literal["adams"]
    num_steps: Annotated[int, Field(ge=2)]
    g: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    straight_until: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _check_straight_until(self) -> "AdamsParams":
        if not self.g < self.straight_until:
            raise ValueError(f"straight_until must be above g, {self.g}; got {self.straight_until}")
        return self

    def build(self) -> Adams:
        """Return the solver."""
        return Adams(num_steps=self.num_steps, g=self.g, straight_until=self.straight_until)


SolverParams = Annotated[EulerParams | DPMSolverParams | AdamsParams, Field(discriminator="kind")]
