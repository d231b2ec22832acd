"""List the checkpoints and unfinished work of all sizes, ask which to delete, and delete these.

python -m stages.runtime.clean_checkpoints
"""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from stages.runtime.project_root import in_project

HOUR = 3600.0
QUESTION = "Numbers to delete, such as 1 3, or all; nothing keeps them: "


@dataclass(frozen=True)
class Work:
    """A folder with the checkpoints of a training, or with unfinished results of another stage."""

    folder: Path

    @property
    def files(self) -> list[Path]:
        """All files in the folder."""
        return [file for file in self.folder.rglob("*") if file.is_file()]

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(file.stat().st_size for file in self.files)

    def describe(self) -> str:
        """Return the folder, the last step, the size and the age."""
        steps = sorted(int(file.stem.removeprefix("step_")) for file in self.folder.glob("step_*.pt"))
        content = f"step {steps[-1]}" if steps else "unfinished"
        newest = max((file.stat().st_mtime for file in self.files), default=time.time())
        age = f"{(time.time() - newest) / HOUR:.0f} hours old"
        return f"{self.folder}  {content}  {self.num_bytes / 1e6:,.1f} MB  {age}"

    def delete(self) -> bool:
        """Delete the folder, and return whether it was deleted: not while a process works in it."""
        lock = FileLock(self.folder.with_name(f"{self.folder.name}.lock"), mode=0o666)
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(self.folder)
        except Timeout:
            return False
        return True


def find_work() -> list[Work]:
    """Return the folders of all sizes."""
    return [Work(folder) for folder in sorted(in_project(".checkpoints").glob("*/*")) if folder.is_dir()]


def chosen(works: list[Work], answer: str) -> list[Work]:
    """Return the folders that an answer names.

    Raises:
        ValueError: the answer has another word than ``all`` and the numbers of the list.
    """
    words = answer.replace(",", " ").split()
    if words == ["all"]:
        return works
    wrong = [word for word in words if not word.isdecimal() or not 1 <= int(word) <= len(works)]
    if wrong:
        raise ValueError(f"{' '.join(wrong)}: the numbers are 1 to {len(works)}")
    return [works[int(word) - 1] for word in words]


def main() -> None:
    """List, ask, delete."""
    works = find_work()
    if not works:
        print("There are no checkpoints.")
        return
    for number, work in enumerate(works, start=1):
        print(f"{number:3}  {work.describe()}")
    try:
        answer = input(QUESTION)
    except EOFError:  # no terminal
        answer = ""
        print()
    try:
        to_delete = chosen(works, answer)
    except ValueError as error:
        sys.exit(f"Nothing was deleted. {error}")
    for work in to_delete:
        print(f"deleted: {work.folder}" if work.delete() else f"in use, kept: {work.folder}")


if __name__ == "__main__":
    main()
