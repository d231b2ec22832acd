"""Inference with a trained run: sample images, classify, embed and reconstruct given images.

Every function takes one loaded seed and a request, prints nothing and knows no MLflow. The command ``lzn`` and the
served MLflow model both call them and so give equal results. Reading order:

- `abilities`: what a run can do, read from its ``run.json`` without torch; `errors`: the error for users.
- `class_names`: classes by name or index, for requests, answers and file names.
- `input_images`: read and check the user's image files; `fitting` names the two conversions to the model's size.
- `loaded_run`: open the folder of a trained seed; the result, `LoadedRun`, is the first argument of all that follow.
- `sampling`, `classification`, `embedding`: one function each; `reconstruction` calls all three modules.
- `images`: arrays of images as Pillow images and grids.
"""
