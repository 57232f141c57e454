"""A synthetic shop with ground truth, worked out without the pipeline's code."""
