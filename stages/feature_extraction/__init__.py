"""Features of images, and the metrics that compare generated with real images in these features.

Read in this order:

- `networks`: which network makes the features of a data set (its own classifier, Inception, or none), on disk.
- `extractors`: the interface of an extractor, and the classifier as one; `pretrained`: Inception and CLIP.
- `extraction`: runs an extractor on many images, on one device or several; `resumable_features`: its unfinished file.
- `made_by`: names a distance's network and preprocessing, for footnotes.
- `cache`: features on disk, shared by all runs, seeds and stages. It calls `extraction`.
- `comparison`: from real and generated images to numbers by name, and Frechet distances of many sets to one.
- `classifier_comparison`, `inception_comparison`: the numbers in the features of each network.
- `read`: chooses the comparison for the network that the stage ``features`` wrote. The stages call this one.
"""
