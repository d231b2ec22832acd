"""What a trained seed answers, against the method's own functions."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lzn_testing.projects.trained_project import NUM_CLASSES, RUNS, TrainedProject

from lzn.base.randomness import generator_for
from lzn.data import dequantise, random_subset
from lzn.data.prepared import read_split
from lzn.flow import AnchorBank, Euler, compute_latents
from lzn.inference.abilities import Ability, UnableError
from lzn.inference.answers import Images, classify, embed
from lzn.inference.errors import UserError
from lzn.inference.loaded_run import LoadedRun, choose_device, open_seed
from lzn.inference.reconstruction import reconstruct
from lzn.inference.sampling import OdeSettings, SampleRequest, draw_samples
from lzn.metrics import reconstruction_error
from lzn.studies import CentresInBank, classify_images, decode_labels, draw_label_latents, generate_images
from lzn.studies.generation import velocity_of

ABILITIES = {
    "joint": ["sample", "classify", "embed", "reconstruct"],
    "joint_no_gen": ["classify", "embed"],
    "rf": ["sample", "reconstruct"],
    "rf_conditional": ["sample", "reconstruct"],
    "rf_lzn": ["sample", "embed", "reconstruct"],
    "representation": ["embed"],
}
FEW = OdeSettings(num_steps=3)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> TrainedProject:
    return TrainedProject.make(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def opened(project: TrainedProject) -> dict[str, LoadedRun]:
    for name in RUNS:
        project.write_untrained(name)
    return {name: project.open(name) for name in RUNS}


@pytest.fixture(scope="module")
def images(project: TrainedProject) -> Images:
    return read_split(project.prepared("digits"), "test").images[:5]


@pytest.mark.parametrize("name", ABILITIES)
def test_a_run_can_what_its_study_gives_it(name: str, opened: dict[str, LoadedRun]) -> None:
    assert [str(ability) for ability in opened[name].facts.abilities] == ABILITIES[name]


def test_a_run_without_label_anchors_says_why_it_cannot_classify_and_which_runs_can(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    facts = [run.facts for run in opened.values()]
    with pytest.raises(
        UnableError, match=r"run rf cannot classify: it has no label anchors .*; it can sample"
    ):
        classify(opened["rf"], images)
    with pytest.raises(UnableError, match="runs that can: joint, joint_no_gen"):
        opened["rf"].facts.require(Ability.CLASSIFY, others=facts)


def test_an_image_has_its_zone_among_as_many_anchors_as_a_training_batch(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    run = opened["joint"]
    (image,) = dequantise(images[:1])
    anchor = run.trained.model.encoder(image[None])
    reference_anchors = run.reference_anchors()
    assert len(reference_anchors) + 1 == run.trained.run.training.batch_size
    together = compute_latents(
        anchor,
        torch.zeros_like(anchor),
        all_anchors=torch.cat([reference_anchors, anchor]),
        alpha=0.0,
        solver=Euler(10),
    )
    label = decode_labels(together, run.trained.model.label_anchors.points, solver=Euler(100))
    assert classify(run, images[:1]).labels == label.numpy()
    centre = torch.from_numpy(embed(run, images[:1])["latent_alpha_0"])
    torch.testing.assert_close(centre, together, rtol=1e-4, atol=1e-5)  # float32, by another way of summing


def test_the_accuracy_of_images_alone_is_that_of_the_labels_that_are_answered(
    opened: dict[str, LoadedRun], project: TrainedProject
) -> None:
    run, images = opened["joint"], read_split(project.prepared("digits"), "test").images[:40]
    assert run.trained.run.latent is not None
    of_the_stage = classify_images(
        dequantise(images),
        CentresInBank(
            run.trained.model.encoder,
            AnchorBank(run.reference_anchors()),
            run.trained.run.latent.solver.build(),
        ),
        run.trained.model.label_anchors.points,
        label_solver=Euler(100),
        batch_size=len(images),
    )
    np.testing.assert_array_equal(classify(run, images).labels, of_the_stage.numpy())


def test_companions_are_anchors_of_random_training_images(
    opened: dict[str, LoadedRun], project: TrainedProject
) -> None:
    run = opened["joint"]
    data = read_split(project.prepared("digits"), "train").images
    chosen = random_subset(len(data), run.trained.run.training.batch_size - 1, seed=0).numpy()
    expected = run.trained.model.encoder(dequantise(data[chosen]))
    torch.testing.assert_close(
        run.reference_anchors(), expected, rtol=1e-5, atol=1e-5
    )  # other batches: rounding


def test_answers_do_not_depend_on_what_else_is_asked(opened: dict[str, LoadedRun], images: Images) -> None:
    together, alone = classify(opened["joint"], images), classify(opened["joint"], images[3:4])
    np.testing.assert_array_equal(together.labels[3:4], alone.labels)
    np.testing.assert_array_equal(together.shares[3:4], alone.shares)
    for name in ("joint", "representation"):
        vectors, vector = embed(opened[name], images[::-1]), embed(opened[name], images[3:4])
        for kind in vectors:
            np.testing.assert_array_equal(vectors[kind][1:2], vector[kind])


def test_shares_of_zones_sum_to_one(opened: dict[str, LoadedRun], images: Images) -> None:
    found = classify(opened["joint"], images)
    assert found.shares.shape == (len(images), NUM_CLASSES)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, rtol=1e-12)  # float64


def test_embeddings_are_the_backbone_the_anchor_a_draw_and_the_centre(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    run = opened["representation"]
    encoder = run.trained.model.encoder
    found = embed(run, images)
    assert list(found) == ["without_head", "with_head", "with_latent", "with_latent_alpha_0"]
    close = {"rtol": 1e-4, "atol": 1e-5}  # float32, one at a time or together
    np.testing.assert_allclose(found["without_head"], encoder(dequantise(images), with_head=False), **close)
    np.testing.assert_allclose(found["with_head"], encoder(dequantise(images)), **close)
    other = embed(run, images, seed=1)
    np.testing.assert_array_equal(found["with_latent_alpha_0"], other["with_latent_alpha_0"])
    assert not np.allclose(found["with_latent"], other["with_latent"])


@pytest.mark.parametrize("name", ["rf", "rf_conditional", "rf_lzn", "joint"])
def test_the_first_images_are_the_same_however_many_are_drawn(
    name: str, opened: dict[str, LoadedRun]
) -> None:
    few = draw_samples(opened[name], SampleRequest(num_images=2, seed=4, ode=FEW))
    more = draw_samples(opened[name], SampleRequest(num_images=5, seed=4, ode=FEW))
    # one grey level: rounding may differ with the batch
    assert np.abs(few.images.astype(int) - more.images[:2].astype(int)).max() <= 1
    assert (few.labels is None) == (name in ("rf", "rf_lzn"))
    other = draw_samples(opened[name], SampleRequest(num_images=2, seed=5, ode=FEW))
    assert (few.images != other.images).any()


def test_classes_are_drawn_in_turn_from_their_zones(opened: dict[str, LoadedRun]) -> None:
    samples = draw_samples(opened["joint"], SampleRequest(num_images=5, classes=(3, 7), ode=FEW))
    assert samples.labels is not None
    assert samples.labels.tolist() == [3, 7, 3, 7, 3]
    conditional = draw_samples(opened["rf_conditional"], SampleRequest(num_images=12, ode=FEW))
    assert conditional.labels is not None
    assert conditional.labels.tolist() == [*range(10), 0, 1]


def test_a_drawn_image_is_that_of_the_method(opened: dict[str, LoadedRun]) -> None:
    model = opened["joint"].trained.model
    labels = torch.tensor([6])
    draw = torch.randn(1, 8, generator=generator_for(9, "latent", 0))
    latents = draw_label_latents(model.label_anchors.points, labels, draw, solver=Euler(100))
    noise = torch.randn(1, 1, 8, 8, generator=generator_for(9, "image", 0))
    expected = generate_images(
        model.decoder, latents=latents, labels=labels, noise=noise, sampler=FEW.build()
    )
    samples = draw_samples(opened["joint"], SampleRequest(num_images=1, classes=(6,), seed=9, ode=FEW))
    # half a grey level of quantisation
    torch.testing.assert_close(
        dequantise(samples.images), expected.clamp(-1, 1), rtol=0, atol=0.5 / 127.5 + 1e-5
    )


def test_reconstruction_errors_are_those_of_the_metric(opened: dict[str, LoadedRun], images: Images) -> None:
    run = opened["rf_lzn"]
    latents = torch.from_numpy(embed(run, images)["latent"])
    velocity = velocity_of(run.trained.model.decoder, latents, None)
    expected = reconstruction_error(dequantise(images), velocity, sampler=FEW.build())
    found = reconstruct(run, images, ode=FEW)
    np.testing.assert_allclose(found.errors, expected.numpy(), rtol=1e-5)  # the same computation
    assert found.labels is None


def test_a_joint_run_reconstructs_with_the_class_that_it_finds_itself(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    found = reconstruct(opened["joint"], images, ode=FEW)
    np.testing.assert_array_equal(found.labels, classify(opened["joint"], images).labels)
    assert reconstruct(opened["joint"], images, label=2, ode=FEW).labels.tolist() == [2] * len(images)
    with pytest.raises(UserError, match="must be told the class"):
        reconstruct(opened["rf_conditional"], images, ode=FEW)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"num_images": 0}, "at least 1"),
        ({"num_images": 1, "seed": -1}, "must not be negative"),
        ({"num_images": 1, "classes": (10,)}, "class 10: run joint has the classes 0 to 9"),
    ],
)
def test_impossible_requests_say_what_is_possible(
    request_: dict[str, int], message: str, opened: dict[str, LoadedRun]
) -> None:
    with pytest.raises(UserError, match=message):
        draw_samples(opened["joint"], SampleRequest(**request_))


@pytest.mark.parametrize(
    "settings", [{"num_steps": 0}, {"num_steps": 10**6}, {"tolerance": 1e-9}, {"tolerance": 0.0}]
)
def test_impossible_solver_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match="must lie between"):
        OdeSettings(**settings)


def test_rk45_draws_what_many_euler_steps_draw(opened: dict[str, LoadedRun]) -> None:
    euler = draw_samples(opened["rf"], SampleRequest(num_images=2, ode=OdeSettings(num_steps=200)))
    adaptive = draw_samples(opened["rf"], SampleRequest(num_images=2, ode=OdeSettings(tolerance=1e-4)))
    # Euler's error with 200 steps: two grey levels
    assert np.abs(euler.images.astype(int) - adaptive.images.astype(int)).max() <= 2


def test_a_folder_that_is_no_trained_seed_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"lacks run\.json and weights\.safetensors"):
        open_seed(tmp_path, prepared=lambda data: tmp_path / data, device=choose_device("cpu"))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    project = TrainedProject.make(tmp_path)
    joint, rf = project.write_untrained("joint"), project.write_untrained("rf")
    (rf / "weights.safetensors").write_bytes((joint / "weights.safetensors").read_bytes())
    with pytest.raises(UserError, match="does not fit"):
        project.open("rf")
    (rf / "weights.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UserError, match="does not fit"):
        project.open("rf")


def test_zones_without_the_prepared_data_say_how_to_get_it(tmp_path: Path, images: Images) -> None:
    project = TrainedProject.make(tmp_path)
    project.write_untrained("joint")
    run = project.open("joint")
    shutil.rmtree(project.prepared("digits"))
    assert len(draw_samples(run, SampleRequest(num_images=1, ode=FEW)).images) == 1
    with pytest.raises(UserError, match="dvc repro prepare@digits"):
        classify(run, images)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="there is no device 'warp'"):
        choose_device("warp")
