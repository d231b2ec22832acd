"""The names and steps of numbers in MLflow."""

from stages.measuring.tracked_names import tracked_numbers


def test_a_number_is_named_by_its_stage_and_the_suffix_is_added() -> None:
    numbers = tracked_numbers("probe", {"trained.with_head.top1": 0.5}, suffix="_std")
    assert numbers.values == {"probe/trained.with_head.top1_std": 0.5}
    assert numbers.curves == []


def test_numbers_by_euler_steps_training_steps_and_batch_sizes_are_curves_with_these_steps() -> None:
    steps = tracked_numbers("steps", {"distance.fd_digits.10": 3.0, "distance.fd_digits.20": 2.0})
    assert steps.curves == [("steps/fd_digits", 3.0, 10), ("steps/fd_digits", 2.0, 20)]
    probe = tracked_numbers("probe", {"along_training.50.top1": 0.4})
    assert probe.curves == [("probe_along_training/top1", 0.4, 50)]
    settings = tracked_numbers("settings", {"accuracy.128.0.25": 0.9}, suffix="_std")
    assert settings.curves == [("settings/accuracy_alpha_0.25_std", 0.9, 128)]
    assert steps.values == probe.values == settings.values == {}


def test_the_numbers_of_classes_in_the_plane_of_tsne_are_a_table() -> None:
    numbers = tracked_numbers(
        "tsne", {"classes.3.std_x": 1.0, "classes.3.std_y": 2.0, "classes.7.std_x": 3.0, "classes.7.std_y": 4.0,
                 "relative_std": 0.2},
    )  # fmt: skip
    assert numbers.values == {"tsne/relative_std": 0.2}
    assert numbers.table == {"class": ["3", "7"], "std_x": [1.0, 3.0], "std_y": [2.0, 4.0]}
