"""The whole pipeline on a folder of JPEG files, with a run of few steps and an imported checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from benchmarks.small_project import ROOT, copy_project, run_in
from lzn.base.files import file_sha256

NUM_IMAGES = 40  # per class
EULER = {"kind": "euler", "num_steps": 2}
NETWORKS = {
    "small": {
        "unet": {
            "image_size": 16, "image_channels": 3, "base_channels": 8, "channel_multipliers": [1, 2],
            "blocks_per_level": 1, "attention_resolutions": [8], "family": "ncsnpp",
        }
    },
    "released": {
        "unet": {
            "image_size": 16, "image_channels": 3, "base_channels": 16, "channel_multipliers": [1, 2],
            "blocks_per_level": 1, "attention_resolutions": [8], "dropout": 0.15, "family": "ddpmpp",
        }
    },
}  # fmt: skip
LATENTS = {
    "small": {
        "latent": {"dim": 8, "alpha": 1.0, "solver": {"kind": "euler", "num_steps": 5}},
        "latent_blocks": {"channels": 2, "units": 8},
    },
    "released": {
        "latent": {"dim": 10, "alpha": 1.0, "solver": {"kind": "dpm", "num_steps": 20}},
        "latent_blocks": {"channels": 4, "units": 12},
    },
}


def write_photos(folder: Path, *, classes: tuple[str, ...]) -> None:
    """Write JPEG files of many sizes: dark images of the first class, light ones of the second."""
    numbers = np.random.default_rng(0)
    for position, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(NUM_IMAGES):
            height, width = numbers.integers(20, 40, size=2)
            pixels = numbers.integers(0, 128, size=(height, width, 3)) + 120 * position
            Image.fromarray(pixels.astype(np.uint8)).save(
                folder / name / f"IMG_{index:04d}.JPG", format="JPEG"
            )


def params(*, features: dict[str, Any]) -> dict[str, Any]:
    """Return params.yaml for the folder ``photos``: colour images of 16x16 pixels and two runs of RF+LZN."""
    return {
        "size": "own",
        "hardware": {"num_threads": 1, "num_workers": 1},
        "data": {
            "photos": {"kind": "folder", "root": "data/photos", "image_size": 16, "test_fraction": 0.2, "seed": 0}
        },
        "families": {
            "generative": {"rf_lzn": "photos", "released": "photos"}, "classifying": {}, "representing": {},
            "encoding": {"rf_lzn": "photos"},
        },
        "features": {"photos": features},
        "runs": {
            "rf_lzn": {
                "study": "generation",
                "data": "photos",
                "seeds": [0, 1],
                "conditional": False,
                "network": "small",
                "latents": "small",
                "schedule": "short",
                "training": {"learning_rates": {"decoder": 1e-3, "encoder": 1e-3}},
            }
        },
        "networks": NETWORKS,
        "latents": LATENTS,
        "schedules": {"short": SCHEDULE},
        "imports": {"released": released()},
        "sample": {"photos": {"seed": 0, "batch_size": 25, "sampler": EULER}},
        "measure": {
            "photos": {
                "seed": 0,
                "num_neighbours": 3,
                "reconstruction": {"num_images": 4, "num_draws": 2, "batch_size": 3, "sampler": EULER},
            }
        },
        "steps": {
            "photos": {"seed": 0, "num_images": 8, "batch_size": 5, "num_steps": [1, 2]}
        },
        "classify": {},
        "settings": {},
        "probe": {},
        "tsne": {},
        "zones": {"photos": {"encoding_batch_size": 10, "stability": STABILITY}},
        "tables": {"unconditional": {"photos": {"rf_lzn": "rf_lzn"}, "released": {"rf_lzn": "released"}}},
        "report": {},
    }  # fmt: skip


def released() -> dict[str, Any]:
    """Return an import of a small checkpoint for images of 16x16 pixels."""
    file = "tests/reference/released_cifar10_tiny.pt"
    return {
        "source": "released",
        "path": file,
        "sha256": file_sha256(ROOT / file),
        "run": {
            "study": "generation",
            "data": "photos",
            "conditional": False,
            "network": "released",
            "latents": "released",
            "schedule": "short",
            "training": {"learning_rates": {"decoder": 1e-3, "encoder": 1e-3}},
        },
    }  # fmt: skip


SCHEDULE = {
    "num_steps": 3, "batch_size": 16, "warmup_steps": 1, "ema_decay": 0.9, "log_every": 1, "snapshot_steps": [2],
}  # fmt: skip

STABILITY = {
    "seed": 0, "latent_solver": {"kind": "euler", "num_steps": 5}, "zone_solver": {"kind": "euler", "num_steps": 5},
    "num_pairs": 2, "samples_per_pair": 3, "bank_samples": 4,
}  # fmt: skip
CLASSIFIER = {
    "kind": "classifier", "base_channels": 8, "feature_dim": 4, "seed": 0,
    "training": {**SCHEDULE, "learning_rates": {"classifier": 1e-3}, "snapshot_steps": []},
}  # fmt: skip


def write_size(project: Path, content: dict[str, Any]) -> None:
    YAML().dump(content, project / "params.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "features", "metrics"),
    [
        (("dark", "light"), CLASSIFIER, {"fd_photos", "mmd_photos", "precision", "recall", "reconstruction"}),
        ((".",), {"kind": "none"}, {"reconstruction"}),
    ],
    ids=["with classes", "without classes"],
)
def test_photos_are_prepared_trained_on_sampled_measured_and_tabulated(
    tmp_path: Path, classes: tuple[str, ...], features: dict[str, Any], metrics: set[str]
) -> None:
    project = copy_project(tmp_path)
    write_photos(project / "data/photos", classes=classes)
    write_size(project, params(features=features))

    result = run_in(project, ["python", "-m", "dvc", "repro"])

    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    outputs = project / "outputs/own"
    num_train = round(0.8 * NUM_IMAGES * len(classes))
    measured = {}
    for run in ("rf_lzn", "released"):
        images = np.load(outputs / "sample" / run / "seed_0" / "images.npy")
        assert (images.shape, images.dtype) == ((num_train, 3, 16, 16), np.uint8)
        assert images.std() > 1  # not a single colour
        measured[run] = json.loads((outputs / "metrics/measure" / f"{run}.json").read_text())
        assert set(measured[run]) == metrics
        assert all(np.isfinite(value["mean"]) for value in measured[run].values())
    assert measured["rf_lzn"]["reconstruction"]["std"] > 0  # of two seeds
    assert "std" not in measured["released"]["reconstruction"]
    assert [file.name for file in (outputs / "train/rf_lzn/seed_1/snapshots").iterdir()] == [
        "step_000000002.safetensors"
    ]
    tables = json.loads((outputs / "tables/tables.json").read_text())
    assert set(tables) == {"table1", "table5", "figure17", "training", "zones"}
    ours = [row for row in tables["table1"]["rows"] if row["source"] == "ours"]
    errors = {row["label"]: row["cells"]["recon"]["value"] for row in ours}
    assert errors == {
        "RF+LZN, photos": measured["rf_lzn"]["reconstruction"]["mean"],
        "RF+LZN, released": measured["released"]["reconstruction"]["mean"],
    }
    assert [row["label"] for row in tables["training"]["rows"]] == [
        "rf_lzn"
    ]  # the imported run has no training
    page = (outputs / "report/index.html").read_text()
    assert "RF+LZN, photos" in page
