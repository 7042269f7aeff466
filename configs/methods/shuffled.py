"""Control: LMM-Reg. with each class held to the class mean of the next class.

    python tools/train.py configs/methods/shuffled.py --on configs/lmmreg_bar.py

If this does as well as LMM-Reg., what the descriptions say does not matter.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'shuffled'
default_hooks = dict(class_means=dict(shuffled=True))
