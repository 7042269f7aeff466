"""Variant: LMM-Reg. with class means moved to where images lie, on BAR with lite0-minilm.

    python tools/train.py configs/baselines/match_gap_bar_lite0.py

With lite0-minilm, see lmmreg_bar_lite0.py.
Only the differences between the classes then pull, not the gap between texts and images.
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'match_gap'
default_hooks = dict(class_means=dict(match_gap=True))
