"""Linear probe trained without labels, on those that texts and another image tower give (NoLA).

    python tools/train.py configs/methods/nola.py --on configs/lmmreg_bar.py

Original (Imam et al. 2024): an LLM's descriptions of each class and templates; the labelling
network on DINO's features; prompts of CLIP's image tower train with the classifier on strongly
augmented images. Ours: the data's `sentences`, if any, and `templates`; the classifier alone, one
view, labels smoothed by 0.1, the last epoch of zs_lp's schedule. Labels come from CLIP's own trunk,
which needs no download; from DINO's by model.head.tower=vit_base_patch16_224.dino (timm fetches
it), from other files by local-dir:FOLDER. See NoLAHead.
"""

_base_ = 'zs_lp.py'

method = 'nola'
texts = 'LLM sentences and class names' if _base_.sentences else 'class names'
protocol = f'all training images without their labels, last epoch; {texts}'
model = dict(
    head=dict(
        type='NoLAHead',
        sentences={{_base_.sentences}},
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
    )
)
