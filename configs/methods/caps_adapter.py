"""Tip-Adapter with the images' captions in the cache, too (CapS-Adapter).

    python tools/train.py configs/methods/caps_adapter.py --on configs/lmmreg_bar.py

Original (Wang et al. 2024): zero-shot; images that Stable Diffusion draws from captions, one view
of each (ten times the same, since their preprocessing is not random); the divergence of the last N
mod 10 of N images is left at 0; alpha, beta, gamma and delta searched on validation images. Ours:
the training images and the mean of their descriptions, one view; alpha=1 and beta=5.5 as
Tip-Adapter, gamma=0.1 and delta=0.5 unless tools/sweep.py chooses:
--grid caps_adapter:model.head.delta=0.2,0.5,0.8; see CapSAdapterHead.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'caps_adapter'
protocol = 'all training images, no gradient step; class names and descriptions'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='CapSAdapterHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
