"""Class names and a Gaussian classifier of the images, weighted by cross-validation, no training.

    python tools/train.py configs/methods/gaussian_start.py --on configs/lmmreg_bar.py

This project's own: see MeanStartHead. As GDA (Wang et al. 2024), but both parts are centred, and
how much each counts is fitted on training images that were left out, instead of chosen by a user.
"""

_base_ = 'mean_start.py'

method = 'gaussian_start'
protocol = 'all training images, no gradient step; class names'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(images='gaussian', train_classifier=False),
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
