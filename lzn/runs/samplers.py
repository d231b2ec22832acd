"""Parameters of the samplers of the image ODE, chosen by ``kind`` in params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from lzn.base.sections import Section
from lzn.rectified_flow.ode import EulerSampler, RK45Sampler


class EulerSamplerParams(Section):
    """Euler with a fixed number of steps."""

    kind: Literal["euler"]
    num_steps: Annotated[int, Field(ge=1)]

    def build(self) -> EulerSampler:
        """Return the sampler."""
        return EulerSampler(num_steps=self.num_steps)


class RK45SamplerParams(Section):
    """Adaptive RK45 with one step size for the whole batch."""

    kind: Literal["rk45"]
    rtol: Annotated[float, Field(gt=0)]
    atol: Annotated[float, Field(gt=0)]

    def build(self) -> RK45Sampler:
        """Return the sampler."""
        return RK45Sampler(rtol=self.rtol, atol=self.atol)


SamplerParams = Annotated[EulerSamplerParams | RK45SamplerParams, Field(discriminator="kind")]
