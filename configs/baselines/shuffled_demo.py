"""Control: LMM-Reg. with each class held to the class mean of the next class, on the demo.

    python tools/train.py configs/baselines/shuffled_demo.py

If this does as well as LMM-Reg., what the descriptions say does not matter.
"""

_base_ = ['../lmmreg_demo.py']

method = 'shuffled'
default_hooks = dict(class_means=dict(shuffled=True))
