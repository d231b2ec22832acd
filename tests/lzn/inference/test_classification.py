"""Classification against the method's own functions."""

import numpy as np
import torch
from lzn_testing.projects.trained_project import NUM_CLASSES, TrainedProject

from lzn.data import dequantise
from lzn.data.prepared import read_split
from lzn.flow import AnchorBank, Euler, compute_latents, decode_labels
from lzn.inference.classification import classify
from lzn.inference.embedding import embed
from lzn.inference.images import Images
from lzn.inference.loaded_run import LoadedRun
from lzn.studies import CentresInBank, classify_images


def test_the_zone_of_an_image_is_that_in_a_batch_of_the_training_size(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    run = opened["joint"]
    (image,) = dequantise(images[:1])
    anchor = run.trained.model.encoder(image[None])
    reference_anchors = run.reference_anchors()
    assert len(reference_anchors) + 1 == run.trained.run.training.batch_size
    together = compute_latents(
        torch.cat([reference_anchors, anchor]),
        torch.zeros_like(anchor),
        rows=slice(-1, None),
        alpha=0.0,
        solver=Euler(10),
    )
    label = decode_labels(together, run.trained.model.label_anchors.points, solver=Euler(100))
    assert classify(run, images[:1]).labels == label.numpy()
    centre = torch.from_numpy(embed(run, images[:1])["latent_alpha_0"])
    torch.testing.assert_close(centre, together, rtol=1e-4, atol=1e-5)  # float32, summed in another order


def test_labels_are_those_whose_accuracy_the_stage_measures(
    opened: dict[str, LoadedRun], project: TrainedProject
) -> None:
    run, images = opened["joint"], read_split(project.prepared_folder("digits"), "test").images[:40]
    assert run.trained.run.latent is not None
    labels_of_the_stage = classify_images(
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
    np.testing.assert_array_equal(classify(run, images).labels, labels_of_the_stage.numpy())


def test_the_result_for_an_image_does_not_depend_on_the_other_images(
    opened: dict[str, LoadedRun], images: Images
) -> None:
    together, alone = classify(opened["joint"], images), classify(opened["joint"], images[3:4])
    np.testing.assert_array_equal(together.labels[3:4], alone.labels)
    np.testing.assert_array_equal(together.shares[3:4], alone.shares)


def test_the_shares_of_an_image_sum_to_one(opened: dict[str, LoadedRun], images: Images) -> None:
    found = classify(opened["joint"], images)
    assert found.shares.shape == (len(images), NUM_CLASSES)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1.0, rtol=1e-12)  # float64
