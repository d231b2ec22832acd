"""What several tests share. The name avoids `tests`, which torch-fidelity installs as a top-level package."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The project's folder."""
