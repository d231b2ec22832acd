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
        gpu_memory_gib: the memory of one GPU; trainings that need more are refused. None: it is not checked.
    """

    pool: Literal["cpu", "gpu"]
    gpus: int = Field(default=0, ge=0)
    gpu_memory_gib: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _gpus_are_of_the_gpu_pool(self) -> "Resources":
        if (self.gpus > 0) != (self.pool == "gpu"):
            raise ValueError(
                f"pool {self.pool} with gpus {self.gpus}: a gpu pool has 1 or more, a cpu pool has 0"
            )
        if self.gpu_memory_gib is not None and self.gpus == 0:
            raise ValueError(f"gpu_memory_gib {self.gpu_memory_gib:g} without gpus: remove it, or set gpus")
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
    key = key_of_stage(section, stage_name)
    if key is None:
        name = stage_name.rpartition(":")[2]
        raise ParamsError(
            f"resources has neither {name} nor {DEFAULT}; it has: {', '.join(map(str, section))}"
        )
    resources: Resources = validate(section[key], Resources, where=f"resources.{key}")
    return resources


def key_of_stage(section: Mapping[str, Any], stage_name: str) -> str | None:
    """Return the key of the section ``resources`` that counts for a stage; None if there is none."""
    name = stage_name.rpartition(":")[2]
    return next((key for key in (name, name.partition("@")[0], DEFAULT) if key in section), None)
