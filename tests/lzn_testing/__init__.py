"""Code that several tests share. The name is not `tests`, which torch-fidelity installs as a top-level package.

- `random_numbers`: seeded generators. `oracles`: slow versions of formulas, and problems with known solutions.
- `models`: small models and trainings. `data`: small images and data sets.
- `projects`: project folders. `processes`: several processes. `servers`: real servers and programs.
- `mutants`: changes the code and lists the changes that no test notices (`make mutants`).
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The project's folder."""
