"""Numbers of a run with each seed, their means and standard deviations, on disk and in MLflow.

Read in this order:

- `quantity`: a number with its value for each seed; means, deviations, confidence intervals, differences.
- `seed_files`: reads the numbers that a stage wrote for each seed of a run as quantities.
- `seed_statistics`: runs a stage that measures a run: one call for each seed, then the statistics over seeds.
- `plot_rows`: CSV files for the plots of DVC.
- `classification`: the test accuracy of runs of case study 3.
- `resumable_numbers`: numbers that are written one by one, so that a killed stage continues.
- `recipes`: how distances to real images were measured, and the refusal to compare different ones.
- `real_images`: the real images that generated ones are compared with.

The stages `measure`, `steps`, `classify`, `settings`, `probe`, `tsne` and `zones` call `seed_statistics`;
`stages.reporting` reads their files with `seed_files`.
"""
