"""Classifier started from class names and images, then trained with the projection.

    python tools/train.py configs/methods/mean_start.py --on configs/lmmreg_bar.py

This project's own: see MeanStartHead. Others: model.head.texts=[descriptions], both, or [] for
images alone. At least 600 steps, also with few images.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'mean_start'
protocol = 'all training images, last epoch; class names'
model = dict(
    head=dict(
        _delete_=True,
        type='MeanStartHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(min_iters=600)
