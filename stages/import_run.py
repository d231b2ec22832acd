"""Convert a checkpoint that the paper's authors released to the files that `train` writes."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from torch import nn

from lzn.base.file_kinds import HEAD_BYTES, kind_of
from lzn.base.files import file_sha256
from lzn.base.sections import ParamsError, Section
from lzn.data.prepared import DataDescription, read_description
from lzn.released import RunModules, load_weights_into
from lzn.runs.blocks import read_section_of_run
from lzn.runs.configuration import AnyRun, RepresentationRun, count_parameters
from lzn.runs.trained import WEIGHTS, TrainedConfiguration, write_trained
from lzn.studies import GenerativeModel, JointModel, RepresentationModel
from stages.runtime.page_tags import colour_of, describe_run, page_tags
from stages.runtime.project_root import in_project
from stages.runtime.provenance import code_fingerprint, git_commit, method_fingerprint
from stages.runtime.stage_main import StageCall, run_stage
from stages.tracking import Tracker
from stages.tracking.data import dataset_input
from stages.tracking.seed_identity import family_of, identity_of
from stages.training.downloads import DownloadError, download
from stages.training.models import log_models


class ImportParams(Section):
    """The section ``imports.<run>``: a released checkpoint, and a run with the networks of the checkpoint."""

    source: Literal["released"]
    path: str | None = None
    """The file, relative to the project's root. Set either this or ``url``."""
    url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """The URL of the file, which is downloaded to ``.downloads``."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    ema: bool = True
    """Read the averaged weights, which the paper evaluates; False: those of the last iteration."""
    run: AnyRun

    @model_validator(mode="after")
    def _has_one_location(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("set either path or url of the checkpoint")
        return self

    @model_validator(mode="after")
    def _has_one_seed(self) -> Self:
        if len(self.run.seeds) > 1:
            raise ValueError("run.seeds: a checkpoint has one seed; remove the others")
        return self


def import_run(call: StageCall) -> None:
    """Write weights and configuration as `train` does, and an MLflow run with the tag ``source: released``."""
    where = f"imports.{call.item}"
    params: ImportParams = read_section_of_run(call.params, where, ImportParams, run_key="run")
    data = read_description(call.outputs.folder("prepare", params.run.data))
    configuration = TrainedConfiguration(
        name=call.item,
        size=call.outputs.size,
        key=_key(params, data),
        num_classes=data.num_classes,
        class_names=data.class_names,
        code_sha256=method_fingerprint(),
        run=params.run,
        checkpoint_sha256=params.sha256,
    )
    try:
        _check_images(params.run, data)
        checkpoint = _checkpoint_file(params)
        model = params.run.build_model(data.num_classes)
        load_weights_into(checkpoint, _modules_of(model), ema=params.ema)
    except (ValueError, DownloadError) as error:
        raise ParamsError(f"{call.params.path}: {where}: {error}") from error
    folder = call.outputs.seed_folder("train", call.item, params.run.seed)
    write_trained(folder, configuration, model)
    _track(call, params, configuration, model, data)
    print(f"{call.item}: {count_parameters(model)} parameters from {checkpoint}")


def _check_images(run: AnyRun, data: DataDescription) -> None:
    """Raise an error if the networks are for images of another shape; no later step of the stage finds this."""
    channels, *sizes = data.image_shape
    if isinstance(run, RepresentationRun):
        fits = channels == run.encoder.image_channels
    else:
        fits = channels == run.unet.image_channels and set(sizes) == {run.unet.image_size}
    if not fits:
        raise ValueError(
            f"the run's networks do not fit the images of {run.data}, which are {data.image_shape}"
        )


def _checkpoint_file(params: ImportParams) -> Path:
    if params.url is not None:
        return download(params.url, sha256=params.sha256)
    assert params.path is not None
    file = in_project(params.path)
    if file.is_dir():
        raise ValueError(f"{file} is a folder: name the released checkpoint in it")
    if not file.is_file():
        raise ValueError(
            f"there is no file {file}: put the released checkpoint there, or set url instead of path"
        )
    found = file_sha256(file)
    if found != params.sha256:
        raise ValueError(
            f"{file} has sha256 {found}, not {params.sha256}: replace the file, or correct sha256{_what_it_is(file)}"
        )
    return file


def _what_it_is(file: Path) -> str:
    """Return what a file is that cannot be a checkpoint, such as a web page; an empty text for other files."""
    with file.open("rb") as stream:
        kind = kind_of(stream.read(HEAD_BYTES))
    is_possible = kind is None or kind.name in ("a zip file", "a Python pickle")
    return "" if is_possible or kind is None else f" (the file is {kind.name})"


def _modules_of(model: nn.Module) -> RunModules:
    match model:
        case JointModel():
            return RunModules(encoder=model.encoder, decoder=model.decoder, label_anchors=model.label_anchors)
        case RepresentationModel():
            return RunModules(encoder=model.encoder)
        case GenerativeModel():
            return RunModules(encoder=model.encoder, decoder=model.decoder)
    raise TypeError(f"{type(model).__name__} is not the model of a study")


def _key(params: ImportParams, data: DataDescription) -> str:
    """Return a hash of checkpoint, configuration, code and data; the location of the file does not change it."""
    content = [
        params.model_dump(mode="json", exclude={"path", "url"}),
        data.sha256,
        code_fingerprint("lzn.runs.configuration"),
        code_fingerprint("lzn.released"),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _track(
    call: StageCall,
    params: ImportParams,
    configuration: TrainedConfiguration,
    model: nn.Module,
    data: DataDescription,
) -> None:
    folder = call.outputs.seed_folder("train", call.item, params.run.seed)
    settings: dict[str, Any] = params.run.model_dump(mode="json", exclude={"seeds"})
    tags = {
        "stage": "import",
        "source": params.source,
        "size": configuration.size,
        "run": configuration.name,
        "git_commit": git_commit(),
        "data_sha256": data.sha256,
        "checkpoint_sha256": params.sha256,
        "weights": (folder / WEIGHTS).as_posix(),
    }
    description = (
        describe_run(settings, name=call.item) + " From a checkpoint that the paper's authors released."
    )
    page = page_tags(
        "stages/import_run.py",
        description=description,
        colour=colour_of(call.item, list(call.params.content["imports"])),
    )
    shared = {"level": "family", "size": configuration.size}
    with Tracker.join(family_of(configuration), tags=page | shared):
        pass  # it exists, with its tags, before its child
    parts = {f"parameters.{name}": count_parameters(part) for name, part in model.named_children()}
    with Tracker.open(identity_of(configuration), tags=page | tags) as tracker:
        tracker.log_params({"ema": params.ema} | settings | parts)
        prepared = call.outputs.folder("prepare", params.run.data)
        tracker.log_datasets([dataset_input(data, "train", folder=prepared)])
        log_models(tracker, configuration, folder, call.outputs)
        tracker.finish()


if __name__ == "__main__":
    run_stage("import_run", import_run, has_items=True)
