"""Gaussian discriminant analysis beside the zero-shot classifier.

    python tools/train.py configs/methods/gda.py --on configs/lmmreg_bar.py

Original (Wang et al. 2024): 1 to 16 images a class, ten random crops of each, alpha searched on
validation images. Ours: all training images (fewer by train_dataloader.dataset.shots), one view,
alpha=1 unless tools/sweep.py chooses:
--grid gda:model.head.alpha=0.0001,0.001,0.01,0.1,1,10,100
"""

_base_ = 'linear_probe.py'

method = 'gda'
protocol = 'all training images, no gradient step'
model = dict(
    head=dict(
        _delete_=True,
        type='GDAHead',
        alpha=1,
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
