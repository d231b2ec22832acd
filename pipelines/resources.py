"""What a machine must have to run a stage: where a cluster sends it. Nothing of it reaches the stage's results."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lzn.base.sections import ParamsError, Section, validate

DEFAULT = "default"


class Resources(Section):
    """Where a stage runs.

    Attributes:
        pool: the work pool, whose workers run on machines of its kind.
        gpus: GPUs of one machine that the stage has for itself while it runs.
    """

    pool: Literal["cpu", "gpu"]
    gpus: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _gpus_are_of_the_gpu_pool(self) -> "Resources":
        if (self.gpus > 0) != (self.pool == "gpu"):
            raise ValueError(
                f"pool {self.pool} with gpus {self.gpus}: a gpu pool has 1 or more, a cpu pool has 0"
            )
        return self


def resources_of(params_content: Mapping[str, Any], stage_name: str) -> Resources:
    """A stage's resources in the content of a parameter file: its own, else those of its family, else the default.

    ``stage_name`` is DVC's: ``train@rf``.

    Raises:
        ParamsError: there is none of the three, or it is wrong.
    """
    section = params_content.get("resources")
    if not isinstance(section, Mapping):
        raise ParamsError("resources is missing, or no mapping of stages")
    name = stage_name.rpartition(":")[2]
    for key in (name, name.partition("@")[0], DEFAULT):
        if key in section:
            resources: Resources = validate(section[key], Resources, where=f"resources.{key}")
            return resources
    raise ParamsError(f"resources has neither {name} nor {DEFAULT}; it has: {', '.join(map(str, section))}")
