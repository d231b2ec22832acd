"""Small models, trainings and networks with random weights.

- The method: `unet_settings` has the U-Nets of the paper and of small checkpoints; `tiny_models` has a small model per
  study; `released_files` writes checkpoints in the released format.
- Training: `toy_training` takes milliseconds; `parallel_training` trains every study in several processes.
- Feature networks: `counting_features`; `rehearsal` has Inception and CLIP with random weights.
- Data: `sample_views` are views of images whose values show how they were made.
"""
