"""What of a DAG is already made, told by hashes alone: no data set and no checkpoint has to be here for it."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage.loader import StageLoader
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta
from dvc_data.hashfile.tree import Tree
from dvc_objects.errors import ObjectFormatError

from pipelines.cluster.remote.run_cache import Entry, RunCache, key_of, remote_errors


class DamagedListError(RuntimeError):
    """The list of files of an output is lost or damaged in the remote."""


class UnknownInputsError(RuntimeError):
    """A stage's key was asked for before what it depends on was made."""


class Resolution:
    """Finds stages in the run-cache, following their hashes from stage to stage.

    Args:
        repo: the repository in the current folder.
        dependencies: the stages asked about with what each depends on, dependencies first (`read_dependencies`).
    """

    def __init__(self, repo: Repo, dependencies: Mapping[str, frozenset[str]]) -> None:
        self.run_cache = RunCache(repo)
        self._objects = repo.cloud.get_remote_odb(hash_name="md5")  # once: each call connects anew
        self._dependencies = dependencies
        self._stages = {
            stage.addressing: stage for stage in repo.index.stages if stage.addressing in dependencies
        }
        self._outputs = {
            out.fs_path: (out, name) for name, stage in self._stages.items() for out in stage.outs
        }
        self._entries: dict[str, Entry] = {}
        self._keys: dict[str, str] = {}
        self._trees: dict[str, Tree] = {}

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Entries of the stages found so far, by the stage's name."""
        return self._entries

    def stage(self, name: str) -> Any:
        """DVC's stage."""
        return self._stages[name]

    def upstream(self, name: str) -> tuple[str, ...]:
        """All that a stage depends on, directly or not, dependencies first."""
        wanted: set[str] = set()
        waiting = [name]
        while waiting:
            new = self._dependencies[waiting.pop()] - wanted
            wanted |= new
            waiting += new
        return tuple(candidate for candidate in self._dependencies if candidate in wanted)

    def find(self, name: str) -> bool:
        """Whether a stage is made. Raises UnknownInputsError unless `find` was true for what it depends on.

        A stage whose list of files in an output is lost or damaged in the remote counts as not made, and its entry
        is withdrawn.
        """
        if name in self._entries:
            return True
        key = self.key(name)
        entry = self.run_cache.find(key)
        if entry is None:
            return False
        StageLoader.fill_from_lock(self._stages[name], entry)
        try:
            for out in self._stages[name].outs:
                if out.hash_info.isdir:
                    self._tree(out)
        except DamagedListError:
            self.run_cache.delete(key)
            return False
        self._entries[name] = entry
        self._keys[name] = key
        return True

    def find_all(self, names: Iterable[str]) -> tuple[str, ...]:
        """The first stages among `names` (dependencies first) that are not made, without those behind them."""
        missing: list[str] = []
        for name in names:
            if self._dependencies[name] <= self._entries.keys() and not self.find(name):
                missing.append(name)
        return tuple(missing)

    def key(self, name: str) -> str:
        """The stage's key in the run-cache. Raises UnknownInputsError if what it depends on is not made."""
        unknown = self._dependencies[name] - self._entries.keys()
        if unknown:
            raise UnknownInputsError(
                f"{name} depends on stages that were not made: {', '.join(sorted(unknown))}"
            )
        stage = self._stages[name]
        for dependency in stage.deps:
            if isinstance(dependency, ParamsDependency) or not self._set_from_outputs(dependency):
                dependency.save()  # a file of the commit
        return key_of(stage)

    def delete_entry(self, name: str) -> None:
        """Withdraw the entry of a stage that was found, so that the stage is made again."""
        self.run_cache.delete(self._keys.pop(name))
        del self._entries[name]

    def inputs(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Outputs that a stage names as dependencies, or folders of them, each with the stage that made it."""
        named = [dependency.fs_path for dependency in self._stages[name].deps]
        return tuple(
            (maker, out)
            for maker, out in self._outputs_of(self._dependencies[name])
            if any(out.fs_path == path or out.fs_path.startswith(path + os.sep) for path in named)
        )

    def outputs(self) -> tuple[tuple[str, Any], ...]:
        """All outputs of the stages that were found, each with the stage's name."""
        return self._outputs_of(self._entries)

    def _outputs_of(self, names: Collection[str]) -> tuple[tuple[str, Any], ...]:
        return tuple(
            (name, out) for name in self._dependencies if name in names for out in self._stages[name].outs
        )

    def _set_from_outputs(self, dependency: Any) -> bool:
        """Take a dependency's hash from the outputs that it names or contains; False if there are none."""
        path = dependency.fs_path
        if path in self._outputs:
            out, _ = self._outputs[path]
            dependency.meta, dependency.hash_info = out.meta, out.hash_info
            return True
        parts = dict(self._parts(path))
        if not parts:
            return False
        tree = Tree()  # type: ignore[no-untyped-call]
        for key, hash_info in parts.items():
            tree.add(key, Meta(), hash_info)
        tree.digest()
        dependency.meta, dependency.hash_info = Meta(isdir=True), tree.hash_info
        return True

    def _parts(self, folder: str) -> Iterator[tuple[tuple[str, ...], HashInfo]]:
        """Files of outputs below a folder, by their path from there."""
        for path, (out, _) in self._outputs.items():
            if path.startswith(folder + os.sep):
                prefix = PurePath(path).relative_to(folder).parts
                if out.hash_info.isdir:
                    for key, _, hash_info in self._tree(out):
                        yield (*prefix, *key), hash_info
                else:
                    yield prefix, out.hash_info

    def _tree(self, out: Any) -> Tree:
        """The list of files of an output that is a folder, from the remote, checked against its hash."""
        expected = out.hash_info
        if expected.value not in self._trees:
            with remote_errors():
                try:
                    loaded = Tree.load(self._objects, expected)
                except (FileNotFoundError, ObjectFormatError) as error:
                    raise DamagedListError(f"{expected.value}: {error}") from error
            copy = Tree.from_list(loaded.as_list(), hash_name="md5")
            copy.digest()
            if copy.hash_info != expected:
                raise DamagedListError(f"{expected.value} has another content than its hash says")
            self._trees[expected.value] = copy
        return self._trees[expected.value]
