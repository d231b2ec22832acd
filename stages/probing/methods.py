"""The methods of linear probing: their sections in params.yaml, and the probing of a run's representations."""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from lzn.base.randomness import BatchRandom, derive_seed, generator_for
from lzn.base.sections import Section
from lzn.data import ImageSet
from lzn.data.batches import steps_per_epoch
from lzn.metrics import (
    AdamWSettings,
    EpochFeatures,
    LabelledFeatures,
    adamw_probe,
    batches_in_order,
    fixed_features,
    linear_probe,
)
from lzn.runs.configuration import RepresentationRun
from lzn.studies import BatchRepresentation, represent_images
from lzn.training import ImageBatches

Accuracies = dict[str, float]
"""``top1``, and ``top5`` if there are more than five classes."""


class LogisticProbe(Section):
    """Logistic regression on fixed, standardised representations. It is fast and has no learning rate."""

    kind: Literal["logistic"]
    max_iterations: Annotated[int, Field(ge=1)]


class AdamWProbe(Section):
    """The paper's probe: a linear layer trained with AdamW without weight decay; see `lzn.metrics.adamw_probe`."""

    kind: Literal["adamw"]
    num_epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    augmented: bool
    """True: compute representations in every epoch, with the run's training augmentation. False: they are fixed."""

    def build(self) -> AdamWSettings:
        """Return the settings of the training of the layer."""
        return AdamWSettings(num_epochs=self.num_epochs, learning_rate=self.learning_rate)


ProbeMethod = Annotated[LogisticProbe | AdamWProbe, Field(discriminator="kind")]


@dataclass(frozen=True)
class ProbedData:
    """The images whose representations are probed, and the settings that all methods share.

    Attributes:
        run: the run; probes with augmentation use its training augmentation.
        train: images of the training set.
        test: images of the test set; they are never augmented.
        num_classes: the number of classes of both.
        batch_size: images that are encoded together for fixed representations; latents are computed among them.
        seed: the seed of the probe.
        num_workers: processes that load augmented images.
        device: where representations are computed.
    """

    run: RepresentationRun
    train: ImageSet
    test: ImageSet
    num_classes: int
    batch_size: int
    seed: int
    num_workers: int
    device: torch.device

    def probe(
        self,
        represent: BatchRepresentation,
        method: ProbeMethod,
        *,
        on_epoch: Callable[[int], object] = lambda epoch: None,
    ) -> dict[str, Accuracies]:
        """Fit a probe to each representation that ``represent`` computes, and return test accuracies by its name.

        ``on_epoch`` is called with the number of finished epochs; logistic regression has none.

        Raises:
            ValueError: the method's batch is larger than the training set.
        """
        test = self._fixed(represent, "test")
        if isinstance(method, LogisticProbe):
            return self._probe_logistic(self._fixed(represent, "train"), test, method)
        seed = derive_seed(self.seed, "probe order", self.run.seed)
        if method.augmented:
            with closing(self._augmented(represent, method, seed=seed)) as batches:
                steps = steps_per_epoch(len(self.train), method.batch_size)
                return self._probe_adamw(lambda epoch: islice(batches, steps), test, method, on_epoch)
        train = fixed_features(
            self._fixed(represent, "train"),
            torch.from_numpy(self.train.labels),
            batch_size=method.batch_size,
            seed=seed,
            device=self.device,
        )
        return self._probe_adamw(train, test, method, on_epoch)

    def _probe_adamw(
        self,
        train: EpochFeatures,
        test: Mapping[str, Tensor],
        method: AdamWProbe,
        on_epoch: Callable[[int], object],
    ) -> dict[str, Accuracies]:
        labels = torch.from_numpy(self.test.labels)
        results = adamw_probe(
            train,
            batches_in_order(test, labels, batch_size=self.batch_size, device=self.device),
            num_classes=self.num_classes,
            settings=method.build(),
            on_epoch=on_epoch,
        )
        return {name: _accuracies(result.top1, result.top5) for name, result in results.items()}

    def _probe_logistic(
        self, train: Mapping[str, Tensor], test: Mapping[str, Tensor], method: LogisticProbe
    ) -> dict[str, Accuracies]:
        accuracies = {}
        for name, features in train.items():
            result = linear_probe(
                features.numpy(),
                self.train.labels,
                test[name].numpy(),
                self.test.labels,
                max_iterations=method.max_iterations,
            )
            accuracies[name] = _accuracies(result.top1, result.top5)
        return accuracies

    def _fixed(self, represent: BatchRepresentation, split: Literal["train", "test"]) -> dict[str, Tensor]:
        """Compute the representations (n, d) of a split, without augmentation, in the host's memory."""
        generator = generator_for(self.seed, "probe", self.run.seed, split, device=self.device)
        images = (self.train if split == "train" else self.test).images
        return represent_images(
            represent, images, generator=generator, batch_size=self.batch_size, device=self.device
        )

    def _augmented(
        self, represent: BatchRepresentation, method: AdamWProbe, *, seed: int
    ) -> Generator[LabelledFeatures, None, None]:
        """Yield the batches of all epochs: representations of one random view of each image, and labels."""
        augmentation = self.run.augmentation
        schedule = replace(
            self.run.training,
            num_steps=steps_per_epoch(len(self.train), method.batch_size) * method.num_epochs,
            batch_size=method.batch_size,
            snapshot_steps=(),
        )
        batches = ImageBatches(
            data=self.train,
            schedule=schedule,
            seed=seed,
            num_workers=self.num_workers,
            views=augmentation.build_on_load(num_views=1),
        ).from_step(0, device=self.device)
        augment = augmentation.build_on_device()
        with closing(batches):
            for step, batch in enumerate(batches):
                generator = generator_for(seed, "views and latents", step, device=self.device)
                views = batch.images
                images = views[:, 0] if views.ndim == 5 else views  # (b, 1, c, h, w) => (b, c, h, w)
                images = augment(images, BatchRandom.for_whole_batch(len(images), generator))
                yield LabelledFeatures(represent(images, generator), batch.labels)


def _accuracies(top1: float, top5: float | None) -> Accuracies:
    return {"top1": top1} if top5 is None else {"top1": top1, "top5": top5}
