"""Control: LMM-Reg. with each class held to the mean of the next, on BAR with lite0-minilm.

    python tools/train.py configs/baselines/shuffled_bar_lite0.py

With lite0-minilm, see lmmreg_bar_lite0.py.
If this does as well as LMM-Reg., what the descriptions say does not matter.
"""

_base_ = ['../lmmreg_bar_lite0.py']

method = 'shuffled'
default_hooks = dict(class_means=dict(shuffled=True))
