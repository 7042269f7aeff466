"""Linear probe trained without labels, on those that texts and another image tower give (NoLA).

    python tools/train.py configs/methods/nola.py --on configs/lmmreg_bar.py

Original (Imam et al. 2024): an LLM's descriptions of each class and templates; the labelling
network on DINO's features; prompts of CLIP's image tower train with the classifier on strongly
augmented images, by AdamW at 4e-3 with weight decay 0.01 in batches of 512, the best of 50 epochs
by validation images. Ours: the data's `sentences`, if any, and `templates`; the classifier alone,
one view, the last epoch; otherwise as theirs. Labels come from CLIP's own trunk, which needs no
download; from DINO's by model.head.tower=vit_base_patch16_224.dino (timm fetches it), from other
files by local-dir:FOLDER. See NoLAHead.
"""

_base_ = 'linear_probe.py'

method = 'nola'
texts = 'LLM sentences and class names' if _base_.sentences else 'class names'
protocol = f'all training images without their labels, last epoch; {texts}'
model = dict(
    head=dict(
        _delete_=True,
        type='NoLAHead',
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
        sentences={{_base_.sentences}},
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    )
)
train_dataloader = dict(batch_size=512)
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=4e-3, weight_decay=0.01))
train_cfg = dict(max_epochs=50)
