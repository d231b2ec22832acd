"""Find the stages of a DAG whose outputs are in the remote, by hashes. No data set or checkpoint is downloaded."""

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
    """The list of files of an output is missing or damaged in the remote."""


class UnknownInputsError(RuntimeError):
    """A stage has no key yet, because stages that it depends on have no outputs in the remote."""


class Resolution:
    """Find stages in the run-cache. The output hashes of a stage are input hashes of the stages that depend on it.

    Args:
        repo: the repository in the current folder.
        dependencies: the stages, each with its dependencies; dependencies come first (`read_dependencies`).
    """

    def __init__(self, repo: Repo, dependencies: Mapping[str, frozenset[str]]) -> None:
        self.run_cache = RunCache(repo)
        self._objects = repo.cloud.get_remote_odb(hash_name="md5")  # once: each call opens a connection
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
        """Return the run-cache entries of the stages that were found, by the name of the stage."""
        return self._entries

    def stage(self, name: str) -> Any:
        """Return DVC's object for a stage."""
        return self._stages[name]

    def upstream(self, name: str) -> tuple[str, ...]:
        """Return all direct and indirect dependencies of a stage, dependencies first."""
        wanted: set[str] = set()
        waiting = [name]
        while waiting:
            new = self._dependencies[waiting.pop()] - wanted
            wanted |= new
            waiting += new
        return tuple(candidate for candidate in self._dependencies if candidate in wanted)

    def find(self, name: str) -> bool:
        """Return whether the outputs of a stage are in the remote.

        If the list of files of an output is missing or damaged, the run-cache entry is deleted and the result is False.

        Raises:
            UnknownInputsError: `find` did not return True for all dependencies before.
            RemoteError: the remote cannot be used.
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
        """Return stages without outputs in the remote, and omit stages that depend on them. Dependencies come first."""
        missing: list[str] = []
        for name in names:
            if self._dependencies[name] <= self._entries.keys() and not self.find(name):
                missing.append(name)
        return tuple(missing)

    def key(self, name: str) -> str:
        """Return the key of a stage in the run-cache.

        Raises:
            UnknownInputsError: `find` did not return True for all dependencies before.
        """
        unknown = self._dependencies[name] - self._entries.keys()
        if unknown:
            raise UnknownInputsError(
                f"{name} depends on stages without outputs in the remote: {', '.join(sorted(unknown))}"
            )
        stage = self._stages[name]
        for dependency in stage.deps:
            if isinstance(dependency, ParamsDependency) or not self._set_from_outputs(dependency):
                dependency.save()  # a file of the commit
        return key_of(stage)

    def delete_entry(self, name: str) -> None:
        """Delete the run-cache entry of a stage that was found, so that the stage runs again."""
        self.run_cache.delete(self._keys.pop(name))
        del self._entries[name]

    def inputs(self, name: str) -> tuple[tuple[str, Any], ...]:
        """Return outputs in the dependencies of a stage, each with the name of the stage that wrote it."""
        named = [dependency.fs_path for dependency in self._stages[name].deps]
        return tuple(
            (writer, out)
            for writer, out in self._outputs_of(self._dependencies[name])
            if any(out.fs_path == path or out.fs_path.startswith(path + os.sep) for path in named)
        )

    def outputs(self) -> tuple[tuple[str, Any], ...]:
        """Return all outputs of the stages that were found, each with the name of its stage."""
        return self._outputs_of(self._entries)

    def _outputs_of(self, names: Collection[str]) -> tuple[tuple[str, Any], ...]:
        return tuple(
            (name, out) for name in self._dependencies if name in names for out in self._stages[name].outs
        )

    def _set_from_outputs(self, dependency: Any) -> bool:
        """Set the hash of a dependency from the outputs that it is or contains. Return False if there are none."""
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
        """Yield the files of outputs in a folder: relative path and hash."""
        for path, (out, _) in self._outputs.items():
            if path.startswith(folder + os.sep):
                prefix = PurePath(path).relative_to(folder).parts
                if out.hash_info.isdir:
                    for key, _, hash_info in self._tree(out):
                        yield (*prefix, *key), hash_info
                else:
                    yield prefix, out.hash_info

    def _tree(self, out: Any) -> Tree:
        """Read the list of files of a folder output from the remote, and verify its hash."""
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
                raise DamagedListError(f"{expected.value} does not have the content of its hash")
            self._trees[expected.value] = copy
        return self._trees[expected.value]
