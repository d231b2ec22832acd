"""Requests in this process: unknown names, limits, and encodings of images."""

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.pyfunc
import pytest
from lzn_testing.data.image_files import encode, noise
from lzn_testing.projects.trained_project import TrainedProject
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from mlflow.types import ParamSchema

from lzn.inference import input_images
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun
from lzn.inference.sampling import OdeSettings, SampleRequest, draw_samples
from stages.serving import strict_requests
from stages.serving.requests import RequestParams, answer_request
from stages.serving.saved_model import signature

IMAGE = encode(noise(8, 8, channels=1), "PNG")
ENCODED = base64.b64encode(IMAGE).decode()
CLOTHES = ("shirt", "coat", *map(str, range(2, 9)), "boot")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    project = TrainedProject.make(tmp_path_factory.mktemp("project"))
    project.write_untrained("joint", class_names=CLOTHES)
    return project.open("joint")


@pytest.fixture
def schema(run: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> ParamSchema:
    """The parameters of the model, while requests are checked."""
    monkeypatch.setattr(mlflow.pyfunc, "_enforce_params_schema", mlflow.pyfunc._enforce_params_schema)
    monkeypatch.setattr(scoring_server, "invocations", scoring_server.invocations)
    monkeypatch.setattr(scoring_server, strict_requests._INSTALLED, False, raising=False)
    strict_requests.install()
    schema: ParamSchema = signature(run.facts).params
    return schema


def ask(run: LoadedRun, images: list[object], **params: Any) -> list[dict[str, Any]]:
    return answer_request(run, images, RequestParams.from_mapping(params))


def refusal(run: LoadedRun, images: list[object], **params: Any) -> str:
    with pytest.raises(UserError) as raised:
        ask(run, images, **params)
    return str(raised.value)


@pytest.mark.parametrize("name", ["label", "num_images", "tolerance", "Class", "clas"])
def test_an_unknown_parameter_is_refused_with_the_list_of_known_ones(
    name: str, run: LoadedRun, schema: ParamSchema
) -> None:
    known = "use task, num, class, steps, rk45, seed, fit, bit_depth, first_frame"
    assert f"unknown params {name}: {known}" in refusal(run, [], task="sample", **{name: 3})
    with pytest.raises(MlflowException, match=f"unknown params {name}: {known}") as raised:
        mlflow.pyfunc._enforce_params_schema({"task": "sample", name: 3}, schema)
    assert raised.value.get_http_status_code() == 400


def test_a_class_can_be_a_number_or_a_name(run: LoadedRun, schema: ParamSchema) -> None:
    for given, label in ((9, 9), ("9", 9), ("boot", 9), ("shirt", 0)):
        params = mlflow.pyfunc._enforce_params_schema({"task": "sample", "class": given, "steps": 1}, schema)
        (answer,) = ask(run, [], **params)
        assert (answer["label"], answer["class"]) == (label, CLOTHES[label])


def test_other_models_of_the_process_are_not_checked(schema: ParamSchema) -> None:
    others = ParamSchema(schema.params[:2])
    assert mlflow.pyfunc._enforce_params_schema({"other": 1, "num": 2}, others)["num"] == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"dataframe_records": [], "task": "sample"}', "unknown keys task in the request"),
        (b'{"dataframe_records": [{"image": "x", "class": 3}]}', "unknown columns class"),
        (b'{"inputs": [{"picture": "x"}]}', "unknown columns picture"),
        (b'{"dataframe_split": {"columns": ["label"], "data": [[1]]}}', "unknown columns label"),
    ],
)
def test_unknown_keys_and_columns_are_refused(body: bytes, message: str, schema: ParamSchema) -> None:
    model = SimpleNamespace(metadata=SimpleNamespace(get_params_schema=lambda: schema))
    with pytest.raises(MlflowException, match=message):
        scoring_server.invocations(body, "application/json", model, None)


@pytest.mark.parametrize(
    "encoded",
    [
        ENCODED,
        base64.encodebytes(IMAGE).decode(),
        "\r\n".join(ENCODED[start : start + 64] for start in range(0, len(ENCODED), 64)),
        f"data:image/png;base64,{ENCODED}",
        f"data:image/png;charset=x;base64,{base64.encodebytes(IMAGE).decode()}",
        f"  DATA:;BASE64,{ENCODED}\n",
    ],
)
def test_base64_may_have_line_breaks_or_be_a_data_uri(encoded: str, run: LoadedRun) -> None:
    assert ask(run, [encoded], task="classify") == ask(run, [ENCODED], task="classify")


def test_a_data_uri_without_base64_is_refused(run: LoadedRun) -> None:
    assert "is a data URI without base64" in refusal(run, ["data:image/png,%89PNG"])
    assert "is not base64" in refusal(run, ["data:image/png;base64,@@"])


def test_requests_beyond_the_limits_are_refused_before_any_work(run: LoadedRun) -> None:
    assert "num must be at most 256" in refusal(run, [], task="sample", num=257)
    assert "are 128000 evaluations of the decoder" in refusal(run, [], task="sample", num=256, steps=500)
    assert "256 images are too many" not in refusal(run, [ENCODED] * 100, task="reconstruct", steps=501)
    assert "257 images are too many for one request" in refusal(run, [ENCODED] * 257)


def test_all_pixels_of_a_request_are_counted_before_the_first_is_decoded(
    run: LoadedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.serving.requests.MAX_TOTAL_PIXELS", 100)
    assert "the images have 128 pixels in all, more than the 100" in refusal(run, [ENCODED] * 2)


def test_a_request_ends_after_its_time(run: LoadedRun) -> None:
    ode = OdeSettings(num_steps=1000, max_seconds=0.05)
    with pytest.raises(UserError, match=r"need more than 0\.05 seconds"):
        draw_samples(run, SampleRequest(num_images=200, ode=ode))


def test_a_time_limit_does_not_change_the_images(run: LoadedRun) -> None:
    free, timed = (OdeSettings(num_steps=2, max_seconds=seconds) for seconds in (None, 100.0))
    one, other = (draw_samples(run, SampleRequest(num_images=2, ode=ode)).images for ode in (free, timed))
    assert (one == other).all()


def test_files_of_a_command_have_a_common_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_images, "MAX_TOTAL_BYTES", 10)
    (tmp_path / "a.png").write_bytes(IMAGE)
    with pytest.raises(UserError, match="bytes in all"):
        input_images.read_image_files(
            [tmp_path / "a.png"], input_images.ImageRules(shape=(1, 8, 8), max_images=2)
        )
