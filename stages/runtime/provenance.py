"""The code that a stage runs, as a set of files and as a hash; the commit and the hardware."""

import ast
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lzn", "stages", "pipelines")
METHOD = tuple(
    f"lzn/{name}"
    for name in ("base", "data", "flow", "networks", "rectified_flow", "runs", "studies", "training")
)
"""Folders with the method. In dvc.yaml they are dependencies of ``train`` and ``import``, which write their hash to
each ``run.json``. Stages that depend on a trained run do not list them."""


def import_closure(module: str, *, without: tuple[str, ...] = ()) -> frozenset[Path]:
    """Return the files of this project that an import of ``module`` may load, relative to the project's root.

    Files in the folders ``without`` are left out, and so is what only they import.

    Raises:
        ValueError: ``module`` is not a module of this project.
    """
    first = _file_of(module)
    if first is None:
        raise ValueError(f"{module} is not a module of {', '.join(PACKAGES)}")
    left_out = tuple(f"{(ROOT / folder).as_posix()}/" for folder in without)
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        for name in _with_parents(waiting.pop()):
            file = _file_of(name)
            if file is not None and file not in found and not file.as_posix().startswith(left_out):
                found.add(file)
                waiting.extend(_imported_by(file))
    return frozenset(file.relative_to(ROOT) for file in found)


def code_fingerprint(module: str) -> str:
    """Return a hash of the code of ``module`` and of its imports from this project, without comments and docstrings."""
    return _hash_of_code(ROOT / file for file in import_closure(module))


def file_fingerprints(module: str) -> dict[str, str]:
    """Return a hash of each file that `code_fingerprint` covers, by its path from the project's root."""
    files = import_closure(module)
    return {file.as_posix(): _hash_of_code([ROOT / file])[:16] for file in sorted(files)}


def method_fingerprint() -> str:
    """Return a hash of the code in `METHOD`, without comments and docstrings."""
    return _hash_of_code(file for folder in METHOD for file in (ROOT / folder).rglob("*.py"))


def git_commit() -> str:
    """Return the commit that is checked out, with ``-dirty`` if tracked files differ from it; ``unknown`` without git.

    Changes of dvc.lock, results/, params.yaml and results of benchmarks are ignored: pipeline and benchmarks write them
    while they run, and the MLflow runs have all parameters.
    """
    try:
        commit = git("rev-parse", "HEAD")
        changed = git(
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":(exclude)dvc.lock",
            ":(exclude)params.yaml",
            ":(exclude)results",
            ":(exclude)benchmarks/*.json",
            ":(exclude)benchmarks/*.png",
        )
    except (subprocess.CalledProcessError, FileNotFoundError):
        return "unknown"
    return f"{commit}-dirty" if changed else commit


def describe_hardware() -> str:
    """Return the processor, its number of cores, and the CUDA devices if there are any."""
    import torch  # noqa: PLC0415 - slow, and callers of the other functions do not need it

    count = torch.cuda.device_count()
    devices = f", {count} x {torch.cuda.get_device_name()}" if count else ""
    return f"{processor_name()}, {os.cpu_count()} cores{devices}"


def processor_name() -> str:
    """Return the model of the processor, or what the system reports instead of it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _hash_of_code(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        digest.update(
            f"{file.relative_to(ROOT).as_posix()}\n{ast.dump(_without_docstrings(tree))}\n".encode()
        )
    return digest.hexdigest()


def git(*arguments: str) -> str:
    """Return what a git command prints in the project's folder. Raises CalledProcessError, FileNotFoundError."""
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _file_of(module: str) -> Path | None:
    if module.split(".", 1)[0] not in PACKAGES:
        return None
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _imported_by(file: Path) -> Iterator[str]:
    """Yield names that may be modules: for ``from a.b import c``, ``a.b`` and ``a.b.c``. All imports are absolute."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Remove docstrings, also those of attributes: all statements that consist of one string."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _is_string(statement)]  # type: ignore[attr-defined]
    return tree


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
