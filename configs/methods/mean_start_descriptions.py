"""Classifier started from descriptions, class names and images, then trained with the projection.

    python tools/train.py configs/methods/mean_start_descriptions.py --on configs/lmmreg_bar.py

This project's own: see MeanStartHead. As mean_start, which needs no descriptions.
"""

_base_ = 'mean_start.py'

method = 'mean_start_descriptions'
protocol = 'all training images, last epoch; descriptions and class names'
model = dict(head=dict(texts=['descriptions', 'class_names']))
