"""A run: its typed configuration, and the files that the training of one seed writes.

- `configuration`: the ``runs`` section of params.yaml, with one type for each case study; it builds the model and the
  training step. Its parts are `solvers` (latent flow) and `augmentations` (case study 2).
- `blocks`: settings that several runs of params.yaml share; they are merged into a run before it is checked.
- `samplers`: samplers of the image ODE, for the stages that sample images.
- `trained`: the folder of a trained seed, written by the stages ``train`` and ``import`` and read by all later stages.
- `curves`: training curves as CSV files.
"""
