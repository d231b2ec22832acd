"""The code that a module runs, and its hash, in a small package of this test."""

import subprocess
from pathlib import Path

import pytest

from stages.runtime import provenance
from stages.runtime.provenance import code_fingerprint, git_commit, import_closure

FILES = {
    "shop/__init__.py": "",
    "shop/till.py": '''\
"""The till."""

import math
from shop import prices
from shop.stock import apples


def total(number):
    """What it costs."""
    return math.ceil(number * prices.PRICE)  # whole coins
''',
    "shop/prices.py": "import shop.currency\n\nPRICE: float = 2.5\n",
    "shop/currency.py": "CURRENCY = 'shell'\n",
    "shop/stock/__init__.py": "from shop.stock.fruit import apples\n",
    "shop/stock/fruit.py": "def apples():\n    from shop.late import number\n    return number\n",
    "shop/late.py": "import shop.till\n\nnumber = 3\n",  # a circular import
    "shop/unused.py": "raise RuntimeError\n",
    "garden/__init__.py": "",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "PACKAGES", ("shop", "garden"))
    return tmp_path


def closure(module: str) -> set[str]:
    return {file.as_posix() for file in import_closure(module)}


def test_the_closure_has_exactly_the_files_that_an_import_may_load(root: Path) -> None:
    assert closure("shop.till") == {
        "shop/__init__.py",
        "shop/till.py",
        "shop/prices.py",  # from a package import a module
        "shop/currency.py",  # import a.b
        "shop/stock/__init__.py",  # from a package import a name
        "shop/stock/fruit.py",  # what that package imports
        "shop/late.py",  # imported inside a function, and imports the first again
    }


def test_the_closure_has_the_packages_that_contain_the_module(root: Path) -> None:
    assert closure("shop.currency") == {"shop/__init__.py", "shop/currency.py"}


@pytest.mark.parametrize("module", ["math", "shop.nowhere", "garden.shed"])
def test_a_module_of_another_package_and_a_missing_module_are_errors(root: Path, module: str) -> None:
    with pytest.raises(ValueError, match=rf"{module} is not a module of shop, garden"):
        import_closure(module)


def test_the_closure_of_the_training_has_the_flow_and_no_other_stage() -> None:
    files = closure("lzn.runs.configuration")
    assert {
        "lzn/flow/assignment.py",
        "lzn/studies/joint.py",
        "lzn/training/loop.py",
        "lzn/training/ema.py",
    } <= files
    assert not files & {"lzn/metrics/frechet.py", "stages/sample.py", "stages/tracking/tracker.py"}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("till.py", "  # whole coins", "  # rounded up"),
        ("till.py", '"""The till."""', '"""Where one pays."""'),
        ("till.py", '    """What it costs."""\n', ""),
        ("till.py", "number * prices.PRICE", "(number*prices.PRICE)"),
        ("prices.py", "2.5\n", '2.5\n"""In shells."""\n'),
        ("unused.py", "RuntimeError", "ValueError"),
    ],
)
def test_comments_docstrings_spaces_and_unused_code_do_not_change_the_fingerprint(
    root: Path, name: str, old: str, new: str
) -> None:
    before = code_fingerprint("shop.till")
    change(root / "shop" / name, old, new)
    assert code_fingerprint("shop.till") == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("till.py", "math.ceil", "math.floor"),
        ("prices.py", "2.5", "2.6"),
        ("currency.py", "'shell'", "'coin'"),
        ("stock/fruit.py", "return number", "return number + 1"),
        ("late.py", "number = 3", "number = '3'"),
    ],
)
def test_a_change_of_any_used_code_changes_the_fingerprint(root: Path, name: str, old: str, new: str) -> None:
    before = code_fingerprint("shop.till")
    change(root / "shop" / name, old, new)
    assert code_fingerprint("shop.till") != before


def test_code_moved_to_another_file_changes_the_fingerprint(root: Path) -> None:
    before = code_fingerprint("shop.till")
    prices, currency = (root / "shop" / name for name in ("prices.py", "currency.py"))
    texts = prices.read_text(), currency.read_text()
    prices.write_text(texts[1] + "import shop.currency\n")
    currency.write_text(texts[0].replace("import shop.currency\n", ""))
    assert code_fingerprint("shop.till") != before


def git(folder: Path, *arguments: str) -> str:
    identity = [
        "-c",
        "user.name=Somebody",
        "-c",
        "user.email=somebody@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_changes_of_tracked_files_except_results_make_the_commit_dirty(root: Path) -> None:
    assert git_commit() == "unknown"
    (root / "benchmarks").mkdir()
    results = [root / "dvc.lock", root / "benchmarks" / "steps.json"]
    for file in results:
        file.write_text("first")
    git(root, "init", "--quiet")
    assert git_commit() == "unknown"  # no commit yet
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    commit = git(root, "rev-parse", "HEAD")
    assert git_commit() == commit
    (root / "new.txt").write_text("not tracked")
    for file in results:
        file.write_text("second")
    assert git_commit() == commit
    (root / "shop" / "prices.py").write_text("PRICE = 3\n")
    assert git_commit() == f"{commit}-dirty"
