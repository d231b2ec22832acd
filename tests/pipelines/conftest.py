"""Toy DVC repositories: real DVC, commands of a few milliseconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from dvc.utils.serialize import dumps_yaml

ToyRepository = Callable[..., Path]


@pytest.fixture
def toy_repository(tmp_path: Path) -> ToyRepository:
    """Make a repository without git from `name=(command, deps, outs)`; `folder` names it under tmp_path."""

    def make(folder: str = "toy", **stages: tuple[str, list[str], list[str]]) -> Path:
        root = tmp_path / folder
        root.mkdir()
        Repo.init(str(root), no_scm=True).close()
        definition: dict[str, Any] = {
            name: {"cmd": command, "deps": deps, "outs": outs}
            for name, (command, deps, outs) in stages.items()
        }
        (root / "dvc.yaml").write_text(dumps_yaml({"stages": definition}))
        return root

    return make
