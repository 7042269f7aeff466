"""Text-initialised classifier, averaged with its start (WiSE-FT).

    python tools/train.py configs/methods/wise_ft.py --on configs/lmmreg_bar.py

Original (Wortsman et al. 2022): the whole model or the linear classifier trains on ImageNet,
mix=0.5. Ours: the linear classifier on frozen embeddings, with this project's schedule.
"""

_base_ = 'linear_probe.py'

method = 'wise_ft'
protocol = 'all training images, last epoch'
model = dict(
    head=dict(
        _delete_=True,
        type='WiSEFTHead',
        templates={{_base_.templates}},
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(type='FitLoop')
