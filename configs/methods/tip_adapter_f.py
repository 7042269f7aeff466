"""Tip-Adapter-F: Tip-Adapter whose keys train.

    python tools/train.py configs/methods/tip_adapter_f.py --on configs/lmmreg_bar.py

Original (Zhang et al. 2022): 1 to 16 images a class, random crops and flips, 20 epochs of AdamW
(eps 1e-4) at 1e-3 in batches of 256 with a cosine by step; the code reports the best epoch by test
images, training is at the data set's alpha (1.17 to 10) and beta (1), both searched on validation
images afterwards. Ours: all training images (fewer by train_dataloader.dataset.shots), one view,
the last epoch; alpha=1 and beta=5.5 unless tools/sweep.py chooses: --grid
tip_adapter_f:model.head.alpha=0.5,1,3. One process only.
"""

_base_ = 'tip_adapter.py'

method = 'tip_adapter_f'
protocol = 'all training images, last epoch'
model = dict(head=dict(train_keys=True))
train_dataloader = dict(batch_size=256)
train_cfg = dict(max_epochs=20)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01, eps=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', convert_to_iter_based=True)]
