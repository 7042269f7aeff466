"""Variant: LMM-Reg. with class means moved to where the images' embeddings lie, on the demo.

    python tools/train.py configs/baselines/match_gap_demo.py

Only the differences between the classes then pull, not the gap between texts and images.
"""

_base_ = ['../lmmreg_demo.py']

method = 'match_gap'
default_hooks = dict(class_means=dict(match_gap=True))
