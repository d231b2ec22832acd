"""The registered model, served by ``mlflow models serve``, answers HTTP requests as the command ``lzn`` does."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.trained_project import TrainedProject
from lzn_testing.servers.mlflow_runs import new_database
from mlflow.tracking import MlflowClient
from PIL import Image

from lzn.cli.main import main
from pipelines.local.prefect_server import free_port

pytestmark = pytest.mark.slow
MODEL = "lzn-tiny-joint"


@dataclass(frozen=True)
class Service:
    """The project, the URL of the server and the URI of MLflow."""

    project: TrainedProject
    url: str
    uri: str

    def ask(self, payload: object, **params: object) -> Any:
        """Return the predictions; the request must succeed."""
        status, answer = self.post(json.dumps({**dict(payload), "params": params}).encode())  # type: ignore[call-overload]
        assert status == 200, answer
        return answer["predictions"]

    def post(self, content: bytes) -> tuple[int, Any]:
        """Return status and decoded JSON."""
        request = urllib.request.Request(
            f"{self.url}/invocations", content, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def announce(self, num_bytes: int) -> tuple[int, str]:
        """Announce a body and send none. Return status and error code."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=60)
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Length", str(num_bytes))
        connection.endheaders()
        response = connection.getresponse()
        content = json.load(response)
        connection.close()
        return response.status, content["error_code"]

    def lzn(self, *arguments: object) -> Any:
        """Return the JSON of a command, run in this process with one torch thread, as in the server."""
        command = [*map(str, arguments), "--project", str(self.project.folder), "--size", "tiny", "--json"]
        with redirect_stdout(io.StringIO()) as stdout:
            assert main(command) == 0
        return json.loads(stdout.getvalue())


def register(folder: Path, uri: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "lzn.cli", "register", "joint", "--size", "tiny", "--json"],
        cwd=folder, env=environment(uri, PROJECT), capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment(uri: str, path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    own = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(path)}
    programs = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, **own, "PATH": programs, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served")
    project = TrainedProject.make(folder / "project")
    project.write_untrained("joint")
    uri = new_database(project.folder)
    registered = register(project.folder, uri)
    model_id = registered.pop("model_id")
    assert MlflowClient(uri).get_model_version(MODEL, "1").source == f"models:/{model_id}"
    assert registered == {
        "run": "joint", "seed": 0, "model": MODEL, "version": "1", "alias": "champion",
        "uri": f"models:/{MODEL}@champion",
        "quality": "accuracy: not measured; claims of its case study that hold: none decided",
        "compared": "there was no champion to compare with",
    }  # fmt: skip
    # The server must import the model's own code: the project cannot be imported.
    for package in ("lzn", "stages"):
        (folder / "elsewhere" / package).mkdir(parents=True)
        (folder / "elsewhere" / package / "__init__.py").write_text(
            "raise ImportError('not the model's own code')"
        )
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", registered["uri"]]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=project.folder, env=environment(uri, folder / "elsewhere"), stdout=stream, stderr=stream,
            start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(process, url, log)
        yield Service(project, url, uri)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_answers(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + 200
    while True:
        try:
            with urllib.request.urlopen(f"{url}/ping", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def digits(service: Service) -> list[Path]:
    """Three test images as files."""
    return service.project.write_test_images(service.project.folder, count=3)


def rows(files: list[Path]) -> dict[str, list[dict[str, str]]]:
    return {"dataframe_records": [{"image": base64.b64encode(file.read_bytes()).decode()} for file in files]}


def pixels(encoded: str) -> np.ndarray[Any, Any]:
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        return np.asarray(image)[None]


def test_the_server_classifies_as_the_command_does(service: Service, digits: list[Path]) -> None:
    expected = [
        {"label": answer["label"], "class": answer["class"], "shares": answer["shares"]}
        for answer in service.lzn("classify", "joint", *digits)["images"]
    ]
    assert service.ask(rows(digits)) == expected
    assert service.ask(rows(digits[1:2]), task="classify") == expected[1:2]


def test_the_server_embeds_as_the_command_does(service: Service, digits: list[Path], tmp_path: Path) -> None:
    service.lzn("embed", "joint", *digits, "--seed", 5, "--out", tmp_path / "x.npz")
    expected = np.load(tmp_path / "x.npz")
    answers = service.ask(rows(digits), task="embed", seed=5)
    for name in ("anchor", "latent", "latent_alpha_0"):
        # bit for bit: JSON keeps every digit of a float32
        np.testing.assert_array_equal(np.float32([answer[name] for answer in answers]), expected[name])


def test_the_server_samples_as_the_command_does(service: Service, tmp_path: Path) -> None:
    service.lzn(
        "sample", "joint", "--num", 3, "--class", 7, "--steps", 4, "--seed", 2, "--out", tmp_path / "x.npy"
    )
    nothing: dict[str, Any] = {"dataframe_records": []}
    answers = service.ask(nothing, task="sample", num=3, **{"class": 7}, steps=4, seed=2)
    assert [answer["label"] for answer in answers] == [7, 7, 7]
    received = np.stack([pixels(answer["image"]) for answer in answers])
    np.testing.assert_array_equal(received, np.load(tmp_path / "x.npy"))


def test_the_server_reconstructs_as_the_command_does(
    service: Service, digits: list[Path], tmp_path: Path
) -> None:
    expected = service.lzn("reconstruct", "joint", *digits, "--steps", 3, "--out", tmp_path / "x.npy")
    answers = service.ask(rows(digits), task="reconstruct", steps=3)
    # the same computation in another process
    assert [answer["error"] for answer in answers] == pytest.approx(
        [answer["error"] for answer in expected["images"]], rel=1e-6
    )
    received = np.stack([pixels(answer["image"]) for answer in answers])
    np.testing.assert_array_equal(received, np.load(tmp_path / "x.npy"))


def test_bad_requests_get_status_400_and_the_server_continues(service: Service, digits: list[Path]) -> None:
    before = service.ask(rows(digits))
    text = base64.b64encode(b"no image at all").decode()
    large = io.BytesIO()
    Image.new("1", (8000, 8000)).save(large, "PNG")
    bomb = base64.b64encode(large.getvalue()).decode()
    good = rows(digits[:1])["dataframe_records"][0]
    bad: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"dataframe_records": [good, {"image": text}]}, {}, "the image of row 1 is not an image"),
        ({"dataframe_records": [{"image": bomb}]}, {}, "declares 8000x8000 pixels"),
        ({"dataframe_records": [{"image": "@@"}]}, {}, "is not base64"),
        ({"dataframe_records": []}, {}, "no images were given"),
        (
            {"dataframe_records": [good]},
            {"task": "fly"},
            "task 'fly' is unknown: use one of sample, classify",
        ),
        ({"dataframe_records": [good]}, {"fit": "squeeze"}, "use one of none, crop, pad"),
        ({"dataframe_records": [good]}, {"steps": "many"}, "steps"),
        ({"dataframe_records": []}, {"task": "sample", "class": "10"}, "has the classes 0 to 9"),
        (
            {"dataframe_records": []},
            {"task": "sample", "label": 3},
            "unknown params label: use task, num, class",
        ),
        ({"dataframe_records": []}, {"task": "sample", "num": 200, "steps": 600}, "are 120000 evaluations"),
        ({"dataframe_records": [{**good, "class": 3}]}, {}, "unknown columns class"),
        ({"dataframe_records": [good], "task": "embed"}, {}, "unknown keys task in the request"),
        (
            {"dataframe_records": []},
            {"task": "sample", "num": 257},
            "num must be at most 256 in one request",
        ),
        ({"dataframe_records": []}, {"task": "sample", "steps": 0}, "steps must be between 1 and 10000"),
        ({"dataframe_records": []}, {"task": "sample", "seed": -1}, "the seed must not be negative"),
    ]
    for payload, params, message in bad:
        status, answer = service.post(json.dumps({**payload, "params": params}).encode())
        assert status == 400
        assert answer["error_code"] == "INVALID_PARAMETER_VALUE"
        assert message in answer["message"]
        assert "Traceback" not in json.dumps(answer)
    assert service.announce(65 * 2**20) == (413, "REQUEST_LIMIT_EXCEEDED")
    status, answer = service.post(b"{no json")
    assert (status, answer["error_code"]) == (400, "BAD_REQUEST")
    assert service.ask(rows(digits)) == before


def test_the_model_has_a_signature_an_example_and_no_pickle(service: Service) -> None:
    client = MlflowClient(service.uri)
    version = client.get_model_version_by_alias(MODEL, "champion")
    source = client.get_logged_model(version.source.removeprefix("models:/")).artifact_location
    folder = service.project.folder / source.removeprefix("file://")
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    assert {file.suffix for file in files} & {".pkl", ".pickle", ".pt", ".pth", ".bin"} == set()
    status, answer = service.post((folder / "serving_input_example.json").read_bytes())
    assert (status, list(answer["predictions"][0])) == (200, ["label", "class", "shares"])
    description = (folder / "MLmodel").read_text()
    for name in ("task", "num", "class", "steps", "rk45", "seed", "fit", "bit_depth", "first_frame"):
        assert f'"name": "{name}"' in description or f'"{name}", "default"' in description
    assert "torch==" in (folder / "requirements.txt").read_text()
    assert "+" not in (folder / "requirements.txt").read_text()
