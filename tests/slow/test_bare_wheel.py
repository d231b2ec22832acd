"""The wheel without extras: what it holds, and that the flow works with its requirements alone."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lzn_testing import PROJECT
from lzn_testing.projects.bare_environment import (
    BareEnvironment,
    build_wheel,
    copy_of_packed_files,
    make_bare_environment,
)

import lzn

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> BareEnvironment:
    return make_bare_environment(tmp_path_factory.mktemp("bare") / "venv", wheel)


def test_the_wheel_holds_the_package_lzn_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    in_git = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "lzn"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert sorted(names) == sorted(name for name in in_git if (PROJECT / name).exists())
    assert "lzn/py.typed" in names
    assert wheel.name.split("-")[1] == lzn.__version__


def test_an_editable_installation_prints_no_warning_and_adds_the_checkout_to_the_path(tmp_path: Path) -> None:
    source, out = copy_of_packed_files(tmp_path / "source"), tmp_path / "out"
    out.mkdir()
    build = f"from setuptools import build_meta; build_meta.build_editable({str(out)!r})"
    printed = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=True
    )
    assert "Warning" not in printed.stdout + printed.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        [pth] = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert archive.read(pth).decode().split() == [str(source)]


def test_the_requirements_are_few_and_complete(bare: BareEnvironment) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(bare.python), "check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    absent = {"torchvision", "scipy", "scikit-learn", "ruamel-yaml", "matplotlib", "mlflow", "dvc", "prefect"}
    assert not absent & bare.distributions


def test_packages_are_imported_on_first_use(bare: BareEnvironment, tmp_path: Path) -> None:
    code = (
        "import sys, lzn\n"
        "assert 'torch' not in sys.modules\n"
        "import importlib.metadata\n"
        "assert importlib.metadata.version('latent-zoning-network') == lzn.__version__\n"
        "assert set(dir(lzn)) >= {'flow', 'networks', 'studies', 'training'}\n"
        "names = sorted(name for name in dir(lzn) if not name.startswith('_'))\n"
        "print([getattr(lzn, name).__name__ for name in names], lzn.flow.compute_latents, lzn.__file__)\n"
        "import lzn.cli.implementation\n"
    )
    done = bare.run("python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(bare.folder) in done.stdout


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "import numpy, lzn; lzn.metrics.inception_score(numpy.zeros((2, 3)))",
            "scipy is not installed: install latent-zoning-network with its extra [metrics]",
        ),
        (
            "import lzn; lzn.datasets.open_digits(test_fraction=0.5, seed=0)",
            "sklearn is not installed: install latent-zoning-network with its extra [images]",
        ),
        (
            "from pathlib import Path; from lzn.base.sections import read_yaml; read_yaml(Path('x'))",
            "ruamel is not installed: install latent-zoning-network with its extra [pipeline]",
        ),
    ],
    ids=["metrics", "images", "pipeline"],
)
def test_a_missing_package_is_named_with_its_extra(
    bare: BareEnvironment, tmp_path: Path, code: str, message: str
) -> None:
    done = bare.run("python", "-c", code, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: {message}"


def test_the_command_works_and_says_which_commands_need_a_checkout(
    bare: BareEnvironment, tmp_path: Path
) -> None:
    listed = bare.run("lzn", "runs", "--json", cwd=tmp_path)
    assert listed.returncode == 1
    assert "has a folder outputs" in json.loads(listed.stderr)["error"]["message"]
    checked = bare.run("lzn", "check", "params.yaml", cwd=tmp_path)
    assert checked.returncode == 1
    assert checked.stderr == (
        "lzn: lzn check is a command of the pipeline, which is run from a checkout of the project. There, `make` "
        "installs what it needs. Here, the package pipelines is missing\n"
    )


def test_the_tests_of_the_flow_pass(wheel: Path, tmp_path: Path) -> None:
    test_packages = ("pytest", "pytest-timeout", "hypothesis")
    environment = make_bare_environment(tmp_path / "venv", wheel, others=test_packages)
    project = tmp_path / "project"
    for name in ("tests/lzn/flow", "tests/lzn_testing", "tests/reference"):
        shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(PROJECT / name, project / name)
    done = environment.run(
        "python",
        "-m",
        "pytest",
        "-q",
        "-m",
        "not gpu",
        "-p",
        "no:cacheprovider",
        "tests/lzn/flow",
        cwd=project,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
