"""Sampled images of a trained run.

Read in this order:

- `sampling`: samples images batch by batch; the stages `sample` and `steps` call it.
- `resumable_images`: the file to which `sample` writes the batches; a killed stage resumes after the last one.
- `grids`: pictures with many of the images.
"""
