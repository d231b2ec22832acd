"""The work pool and GPUs of a stage on a cluster. They do not influence the results of the stage."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from lzn.base.sections import ParamsError, Section, validate

DEFAULT = "default"


class Resources(Section):
    """Where a stage runs.

    Attributes:
        pool: the Prefect work pool.
        gpus: how many GPUs of one machine the stage has exclusively while it runs.
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
    """Return a stage's resources from the section ``resources`` of a parameter file.

    The keys are tried in this order: the stage (``train@rf``), its family (``train``), ``default``.

    Raises:
        ParamsError: none of the keys exists, or its value is wrong.
    """
    section = params_content.get("resources")
    if not isinstance(section, Mapping):
        raise ParamsError("resources is missing or is not a mapping of stages")
    name = stage_name.rpartition(":")[2]
    for key in (name, name.partition("@")[0], DEFAULT):
        if key in section:
            resources: Resources = validate(section[key], Resources, where=f"resources.{key}")
            return resources
    raise ParamsError(f"resources has neither {name} nor {DEFAULT}; it has: {', '.join(map(str, section))}")
