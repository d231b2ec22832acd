"""Damage to files: a lost end, a flipped bit, and a missing digest."""

from pathlib import Path


def truncate(file: Path) -> None:
    """Remove the last half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def remove_the_digest(file: Path) -> None:
    """Remove the SHA-256 of a checkpoint, like a kill between the writing of its two files."""
    file.with_suffix(".sha256").unlink()
