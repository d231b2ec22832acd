"""What a trained run can be asked for: images, labels, representations, reconstructions.

Everything here is a function of one trained seed and a request; it prints nothing and knows no MLflow. The command
``lzn`` and the served model share it, and so give the same answers.
"""
