"""sizes/paper.yaml has the hyperparameters of the paper (C.3, D.3, E.3), run by run."""

import pytest
from lzn_testing import PROJECT

from lzn.flow import DPMSolver, Euler
from lzn.runs.configuration import GenerationRun, JointRun, RepresentationRun
from pipelines.check import read_params
from pipelines.plan import count_parts

PARAMS = read_params(PROJECT / "sizes/paper.yaml")
RUNS = PARAMS.runs

# Name: steps, batch, EMA decay, learning rates.
SCHEDULES = {
    "cifar10_rf": (50_000, 2000, 0.999999, {"decoder": 1e-3}),
    "cifar10_rf_lzn": (50_000, 2000, 0.999999, {"decoder": 1e-3, "encoder": 2.5e-5}),
    "afhq_cat_rf": (60_000, 256, 0.999999, {"decoder": 2e-4}),
    "afhq_cat_rf_lzn": (60_000, 256, 0.999999, {"decoder": 2e-4, "encoder": 2e-6}),
    "celeba_hq_rf": (350_000, 256, 0.9999, {"decoder": 2e-4}),
    "celeba_hq_rf_lzn": (350_000, 256, 0.9999, {"decoder": 2e-4, "encoder": 4e-6}),
    "lsun_bedroom_rf": (2_050_000, 256, 0.99999, {"decoder": 2e-4}),
    "lsun_bedroom_rf_lzn": (2_050_000, 256, 0.99999, {"decoder": 2e-4, "encoder": 2e-6}),
    "imagenet": (5_000_000, 8192, 0.9999, {"encoder": 8e-4}),
    "imagenet_fixed_probe": (1_060_000, 8192, 0.9999, {"encoder": 8e-4}),
    "cifar10_rf_conditional": (60_000, 2000, 0.999999, {"decoder": 2e-3}),
    "cifar10_joint": (200_000, 2000, 0.999999, {"decoder": 2e-3, "encoder": 5e-5, "label_anchors": 1e-4}),
    "cifar10_joint_no_gen": (200_000, 2000, 0.999999, {"encoder": 5e-5, "label_anchors": 1e-4}),
    "cifar10_joint_small_cutoff": (
        200_000, 2000, 0.999999, {"decoder": 2e-3, "encoder": 5e-5, "label_anchors": 1e-4},
    ),
}  # fmt: skip

RF_32, RF_LZN_32 = {"decoder": 61_804_419}, {"decoder": 61_906_819, "encoder": 49_790_260}
RF_256, RF_LZN_256 = {"decoder": 65_574_549}, {"decoder": 65_676_949, "encoder": 87_768_896}
JOINT = {"decoder": 61_911_939, "encoder": 49_790_260, "label_anchors": 10 * 200}
# Trainable parameters. The paper also counts the 128 Fourier frequencies of the 256-pixel decoders, which are fixed.
PARAMETERS = {
    "cifar10_rf": RF_32,
    "cifar10_rf_lzn": RF_LZN_32,
    **{
        f"{data}_rf": {"decoder": RF_256["decoder"] - 128}
        for data in ("afhq_cat", "celeba_hq", "lsun_bedroom")
    },
    **{
        f"{data}_rf_lzn": {**RF_LZN_256, "decoder": RF_LZN_256["decoder"] - 128}
        for data in ("afhq_cat", "celeba_hq", "lsun_bedroom")
    },
    "imagenet": {"encoder": 28_231_232},
    "imagenet_fixed_probe": {"encoder": 28_231_232},
    "cifar10_rf_conditional": {"decoder": 61_809_539},
    "cifar10_joint": JOINT,
    "cifar10_joint_no_gen": {name: JOINT[name] for name in ("encoder", "label_anchors")},
    "cifar10_joint_small_cutoff": JOINT,
}


def test_every_run_of_the_paper_is_there_and_no_other() -> None:
    assert set(RUNS) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_is_trained_as_the_paper_says(name: str) -> None:
    training = RUNS[name].training
    found = (training.num_steps, training.batch_size, training.ema_decay, dict(training.learning_rates))
    assert found == SCHEDULES[name]
    assert (training.warmup_steps, training.max_gradient_norm) == (5000, 1.0)
    # In case study 2, the augmentation flips images.
    assert training.random_flips == (not isinstance(RUNS[name], RepresentationRun))
    assert dict(training.freeze_after) == (
        {"decoder": 60_000} if "decoder" in SCHEDULES[name][3] and isinstance(RUNS[name], JointRun) else {}
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_networks_of_a_run_have_the_papers_number_of_parameters(name: str) -> None:
    assert count_parts(RUNS[name], num_classes=10) == PARAMETERS[name]


@pytest.mark.parametrize("name", SCHEDULES)
def test_latents_are_computed_as_in_the_paper(name: str) -> None:
    run = RUNS[name]
    if isinstance(run, RepresentationRun):
        assert (run.latent.dim, run.latent.alpha) == (256, 0.45)
        assert run.latent.solver.build() == Euler(num_steps=20, g=1e-4)
    elif run.latent is not None:
        assert (run.latent.dim, run.latent.alpha) == (200, 1.0)
        assert run.latent.solver.build() == DPMSolver(num_steps=20, g=1e-3)
        assert run.latent_blocks is not None
        assert (run.latent_blocks.channels, run.latent_blocks.units) == (20, 200)
        wide = run.unet.image_size == 256
        assert run.latent_blocks.resolutions == ((64, 32, 16, 8, 4) if wide else None)
    else:
        assert isinstance(run, GenerationRun)


def test_zones_are_aligned_as_in_the_paper() -> None:
    found = {
        name: (run.alignment.solver.num_steps, run.alignment.num_skipped_steps)
        for name, run in RUNS.items()
        if isinstance(run, RepresentationRun | JointRun)
    }
    assert found == {
        "imagenet": (20, 4),
        "imagenet_fixed_probe": (20, 4),
        "cifar10_joint": (100, 20),
        "cifar10_joint_no_gen": (100, 20),
        "cifar10_joint_small_cutoff": (100, 5),
    }


def test_images_are_sampled_and_reconstructed_as_in_the_paper() -> None:
    sampled = {name: settings.num_images for name, settings in PARAMS.sample.items()}
    assert sampled == {"cifar10": 50_000, "afhq_cat": 5120, "celeba_hq": 29_952, "lsun_bedroom": 29_952}
    samplers = {settings.sampler.model_dump_json() for settings in PARAMS.sample.values()}
    samplers |= {settings.reconstruction.sampler.model_dump_json() for settings in PARAMS.measure.values()}
    assert samplers == {'{"kind":"rk45","rtol":0.00001,"atol":0.00001}'}
    found = {
        name: (settings.reconstruction.num_images, settings.reconstruction.num_draws)
        for name, settings in PARAMS.measure.items()
    }
    wide = dict.fromkeys(("afhq_cat", "celeba_hq", "lsun_bedroom"), (256, 20))
    assert found == {"cifar10": (2000, 20), **wide}
