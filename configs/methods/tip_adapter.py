"""Tip-Adapter.

    python tools/train.py configs/methods/tip_adapter.py --on configs/lmmreg_bar.py

Original (Zhang et al. 2022): 1 to 16 images a class, ten random crops of each averaged, alpha and
beta searched on validation images, from the data set's configuration (beta 1, alpha 1.17 to 10).
Ours: all training images (fewer by train_dataloader.dataset.shots), one view, alpha=1 and beta=5.5
unless tools/sweep.py chooses:
--grid tip_adapter:model.head.alpha=0.5,1,3 --grid tip_adapter:model.head.beta=1.5,5.5,9.5
"""

_base_ = 'linear_probe.py'

method = 'tip_adapter'
protocol = 'all training images, no gradient step'
model = dict(
    head=dict(
        _delete_=True,
        type='TipAdapterHead',
        alpha=1,
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
