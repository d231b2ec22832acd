"""The latent flow's solver as a choice in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lzn.base.sections import Section
from lzn.flow import Adams, DPMSolver, Euler


class EulerParams(Section):
    """Euler's method for the flow between latents and anchors."""

    kind: Literal["euler"]
    num_steps: Annotated[int, Field(ge=1)]
    g: Annotated[float, Field(gt=0, lt=1)] = 1e-4

    def build(self) -> Euler:
        """The solver."""
        return Euler(num_steps=self.num_steps, g=self.g)


class DPMSolverParams(Section):
    """DPM-Solver++ for the flow between latents and anchors."""

    kind: Literal["dpm"]
    num_steps: Annotated[int, Field(ge=1)]
    g: Annotated[float, Field(gt=0, lt=0.5)] = 1e-3

    def build(self) -> DPMSolver:
        """The solver."""
        return DPMSolver(num_steps=self.num_steps, g=self.g)


class AdamsParams(Section):
    """Adams and Bashforth's method for the flow between latents and anchors (not in the paper)."""

    kind: Literal["adams"]
    num_steps: Annotated[int, Field(ge=2)]
    g: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    straight_until: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _begins_before_it_bends(self) -> "AdamsParams":
        if not self.g < self.straight_until:
            raise ValueError(f"straight_until must be above g, {self.g}")
        return self

    def build(self) -> Adams:
        """The solver."""
        return Adams(num_steps=self.num_steps, g=self.g, straight_until=self.straight_until)


SolverParams = Annotated[EulerParams | DPMSolverParams | AdamsParams, Field(discriminator="kind")]
