"""Linear probe beside learned multiples of the class names' embeddings (LP++).

    python tools/train.py configs/methods/lp_plus_plus.py --on configs/lmmreg_bar.py

Original (Huang et al. 2024): 1 to 16 images a class, one random crop and flip of each; start and
step sizes from the data, the best of 300 full-batch steps by validation images. Ours: all training
images (fewer by train_dataloader.dataset.shots), one view, the last of 300 steps; LPPlusPlusHead
says where the fit differs.
"""

_base_ = 'linear_probe.py'

method = 'lp_plus_plus'
protocol = 'all training images, 300 full-batch steps; class names'
model = dict(
    head=dict(
        _delete_=True,
        type='LPPlusPlusHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(max_epochs=1)  # without a step, since the head is fitted before
