"""LMM-Reg.-CLIP on own images with a validation split, on which the epoch is chosen.

    CUSTOM_ROOT=pictures python tools/train.py configs/lmmreg_custom_val.py
    python tools/test.py configs/lmmreg_custom_val.py work_dirs/lmmreg_custom_val/best_*.pth
    python tools/export.py configs/lmmreg_custom_val.py work_dirs/lmmreg_custom_val/best_*.pth OUT

A fifth of the training images is held out by seed, whole groups (where a list names them); accuracy
on it is logged after every epoch, and the checkpoint of the best one is kept. Test images are used
by tools/test.py alone. tools/export.py fits its temperature on the held-out images.
"""

_base_ = 'lmmreg_custom.py'

val_fraction = 0.2
train_dataloader = dict(dataset=dict(val_fraction=val_fraction))
val_dataloader = dict(dataset=dict(split='val', val_fraction=val_fraction))
default_hooks = dict(checkpoint=dict(interval=1, save_best='accuracy/top1'))
