"""Mutation tests (`make mutants`): mutmut changes modules in small ways; changes that no test notices are printed.

The work is done in a copy of the checkout, ``.mutants``. A later call for the same modules continues there: mutants of
functions that have not changed keep their results. Only the tests in the mirrored folders run, each mutant with those
that reach it.
"""

import argparse
import configparser
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from lzn_testing import PROJECT

WORK = Path(".mutants")
PACKAGES = ("lzn", "stages", "pipelines")
MARKERS = "not slow and not browser and not compiler and not services and not gpu"
SURVIVED = {0: "survived", 33: "reached by no test"}
"""Exit codes of mutmut's workers for mutants that no test noticed."""


def changed_modules(base: str) -> list[str]:
    """Return the files of the packages that differ from the commit ``base``, new ones included."""
    changed = _git("diff", "--name-only", "--diff-filter=d", base) + _git(
        "ls-files", "--others", "--exclude-standard"
    )
    return sorted({file for file in changed if file.endswith(".py") and file.startswith(PACKAGES)})


def mirrored_folder(module: str) -> str:
    """Return the folder of tests that mirrors a module's package or a package; the nearest one that exists."""
    path = PurePosixPath(module)
    packages = path.parents if path.suffix else (path, *path.parents)
    for package in packages:
        if package.parts and package.parts[0] in PACKAGES and (PROJECT / "tests" / package).is_dir():
            return str("tests" / package)
    raise ValueError(f"{module} is in none of the packages {', '.join(PACKAGES)}")


def patterns_of(modules: Iterable[str]) -> list[str]:
    """Return mutmut's patterns for files and folders."""
    return [module if module.endswith(".py") else f"{module.rstrip('/')}/*" for module in modules]


def settings(patterns: Sequence[str], tests: Iterable[str]) -> configparser.ConfigParser:
    """Return the content of ``setup.cfg`` for mutmut."""
    beside = sorted({file.split("/", 1)[0] for file in _files()} - set(PACKAGES))
    content = configparser.ConfigParser()
    content["mutmut"] = {
        "source_paths": _lines(PACKAGES),
        "only_mutate": _lines(patterns),
        "also_copy": _lines(beside),
        "pytest_add_cli_args": _lines(["-p", "no:cacheprovider", "-p", "no:xdist", "-m", MARKERS]),
        "pytest_add_cli_args_test_selection": _lines(sorted(set(tests))),
    }
    return content


def copy_checkout(work: Path) -> None:
    """Copy the files of the checkout that are new or changed to ``work``, and delete those that are gone."""
    files = _files()
    for file in files:
        source, target = PROJECT / file, work / file
        if not target.exists() or source.read_bytes() != target.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for package in PACKAGES:
        for target in (work / package).rglob("*.py"):
            if str(target.relative_to(work)) not in files:
                target.unlink()


def write_settings(work: Path, content: configparser.ConfigParser) -> None:
    """Write ``setup.cfg``; other settings than before forget all results, because mutmut mixes up copied modules."""
    text = io.StringIO()
    content.write(text)
    file = work / "setup.cfg"
    if not file.exists() or file.read_text() != text.getvalue():
        shutil.rmtree(work / "mutants", ignore_errors=True)
        file.write_text(text.getvalue())


def report(work: Path, patterns: Sequence[str]) -> int:
    """Print the survivors of each module with their changes, then the share of killed mutants; return their number."""
    survivors = 0
    shares = []
    for file in sorted((work / "mutants").rglob("*.py.meta")):
        module = str(file.relative_to(work / "mutants").with_suffix(""))
        if not any(fnmatch(module, pattern) for pattern in patterns):
            continue  # of an earlier call
        codes: dict[str, int | None] = json.loads(file.read_text())["exit_code_by_key"]
        found = {name: SURVIVED[code] for name, code in codes.items() if code in SURVIVED}
        for name, status in found.items():
            shown = _mutmut(work, "show", name, capture=True)
            print(f"{status}: {shown}")
        if codes:
            shares.append(f"{module}: {len(codes) - len(found)} of {len(codes)} mutants killed")
        survivors += len(found)
    print("\n".join(shares))
    return survivors


def main() -> None:
    """Run mutmut, and print the survivors."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="files or folders; default: what differs from --base")
    parser.add_argument("--base", default="main", help="commit to compare with")
    parser.add_argument(
        "--tests", nargs="*", help="files or folders of tests; default: those of the mirrored folders"
    )
    arguments = parser.parse_args()
    os.chdir(PROJECT)
    modules = arguments.modules or changed_modules(arguments.base)
    if not modules:
        sys.exit(
            f"no module differs from {arguments.base}: name modules, as in make mutants MODULES=lzn/metrics"
        )
    copy_checkout(WORK)
    write_settings(WORK, settings(patterns_of(modules), arguments.tests or map(mirrored_folder, modules)))
    _mutmut(WORK, "run")
    print(f"{report(WORK, patterns_of(modules))} mutants survived")


def _files() -> list[str]:
    return [
        file
        for file in _git("ls-files", "--cached", "--others", "--exclude-standard")
        if Path(file).is_file()
    ]


def _lines(values: Iterable[str]) -> str:
    return "\n" + "\n".join(values)


def _git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.splitlines()


def _mutmut(work: Path, *arguments: str, capture: bool = False) -> str:
    program = Path(sys.executable).with_name("mutmut")
    done = subprocess.run([program, *arguments], cwd=work, check=True, capture_output=capture, text=True)
    return done.stdout if capture else ""


if __name__ == "__main__":
    main()
