"""Small settings, made-up data and random weights, with which all stages of the paper's size run in minutes.

- `shrinking` makes the settings of a size small, by one rule for all values.
- `data_sets` writes made-up images in the layouts in which the real data sets are distributed; `file_formats` has the
  formats of their files.
- `random_inception` and `random_clip` write the weights files of Inception and CLIP, with random weights.
"""
