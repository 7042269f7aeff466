"""Fine-tuning of CLIP's projection with a linear classifier, on own images.

CUSTOM_ROOT=pictures python tools/train.py configs/baselines/finetune_custom.py
"""

_base_ = ['../lmmreg_custom.py']

method = 'finetune'
model = dict(head=dict(alpha=0))
