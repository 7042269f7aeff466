"""Classifier started from images alone, then trained with the projection: a control of mean_start.

python tools/train.py configs/methods/mean_start_images.py --on configs/lmmreg_bar.py
"""

_base_ = 'mean_start.py'

method = 'mean_start_images'
protocol = 'all training images, last epoch; no texts'
model = dict(head=dict(texts=[]))
