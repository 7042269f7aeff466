"""Variant: LMM-Reg. with class means moved to where the images' embeddings lie, on BAR.

    python tools/train.py configs/baselines/match_gap_bar_lite0.py

With lite0-minilm, see lmmreg_bar_lite0.py.
Only the differences between the classes then pull, not the gap between texts and images.
"""
_base_ = ['../lmmreg_bar_lite0.py']

method = 'match_gap'
default_hooks = dict(class_means=dict(match_gap=True))
