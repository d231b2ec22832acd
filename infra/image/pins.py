"""Versions and digests of container images in all files: `python -m infra.image.pins`.

python -m infra.image.pins                              list the images and the files that name them
python -m infra.image.pins postgres:15.15-bookworm      change the version in all files
python -m infra.image.pins --digests                    add the digests of the present versions (asks the registries
                                                        with `docker buildx imagetools`)
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lzn.base.files import write_text

PROJECT: Final = Path(__file__).resolve().parents[2]
_REFERENCE: Final = r"[\w][\w./-]*:[\w][\w.-]*(?:@sha256:[0-9a-f]{64})?"
_NAMED: Final = re.compile(rf"(?:\bimage: *|^ARG PYTHON_IMAGE=)({_REFERENCE})\s*$", re.MULTILINE)
OWN: Final = "lzn"
"""The project's image, whose version is that of the project."""


class PinError(ValueError):
    """No file names the image, or its registry does not tell its digest."""


def image_files(project: Path = PROJECT) -> list[Path]:
    """Return the files that name images."""
    folder = project / "infra"
    manifests = sorted([*folder.glob("kubernetes/*.yaml"), *folder.glob("kubernetes-jobs/*.yaml")])
    return [folder / "Dockerfile", folder / "compose.yaml", *manifests]


def named_images(project: Path = PROJECT) -> dict[str, list[Path]]:
    """Return the images of others, each with the files that name it."""
    found: dict[str, list[Path]] = {}
    for file in image_files(project):
        for image in _images_in(file):
            found.setdefault(image, []).append(file)
    return found


def set_version(image: str, project: Path = PROJECT) -> list[Path]:
    """Replace the version of an image in all files. Return the changed files.

    Raises:
        PinError: no file names the image.
    """
    name, _, version = image.partition(":")
    if not re.fullmatch(_REFERENCE, image):
        raise PinError(f"{image} is not NAME:VERSION or NAME:VERSION@sha256:DIGEST")
    files = [file for file in image_files(project) if any(_name(one) == name for one in _images_in(file))]
    if not files:
        known = ", ".join(sorted({_name(one) for one in named_images(project)}))
        raise PinError(f"no file names the image {name}; the images are {known}")
    pattern = re.compile(rf"(?<![\w./-]){re.escape(name)}:[\w][\w.-]*(?:@sha256:[0-9a-f]{{64}})?")
    changed = []
    for file in files:
        before = file.read_text(encoding="utf-8")
        after = pattern.sub(f"{name}:{version}", before)
        if after != before:
            write_text(file, after)
            changed.append(file)
    return changed


def digest_of(image: str) -> str:
    """Return the digest of an image in its registry, such as ``sha256:...``.

    Raises:
        PinError: Docker is not installed, or the registry does not know the image.
    """
    command = ["docker", "buildx", "imagetools", "inspect", image, "--format", "{{json .Manifest.Digest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        digest = json.loads(done.stdout)
    except FileNotFoundError as error:
        raise PinError("docker is not installed, which asks the registries for digests") from error
    except subprocess.CalledProcessError as error:
        raise PinError(f"the registry does not tell the digest of {image}: {error.stderr.strip()}") from error
    except ValueError as error:
        raise PinError(f"docker prints no digest of {image}: {done.stdout.strip()!r}") from error
    return str(digest)


def _images_in(file: Path) -> Iterator[str]:
    for image in _NAMED.findall(file.read_text(encoding="utf-8")):
        if _name(image) != OWN:
            yield image


def _name(image: str) -> str:
    return image.partition(":")[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return 1 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.image.pins", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("images", nargs="*", metavar="NAME:VERSION", help="images whose version is changed")
    parser.add_argument("--digests", action="store_true", help="add the digests of the present versions")
    options = parser.parse_args(arguments)
    try:
        for image in options.images:
            _report(set_version(image))
        if options.digests:
            for image in named_images():
                version = image.partition("@")[0]
                _report(set_version(f"{version}@{digest_of(version)}"))
    except PinError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for image, files in named_images().items():
        print(f"{image}: {', '.join(str(file.relative_to(PROJECT)) for file in files)}")
    return 0


def _report(changed: Sequence[Path]) -> None:
    for file in changed:
        print(f"changed {file.relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
