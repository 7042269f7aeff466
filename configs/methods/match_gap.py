"""Variant: LMM-Reg. with class means moved to where the images' embeddings lie.

    python tools/train.py configs/methods/match_gap.py --on configs/lmmreg_bar.py

Only the differences between the classes then pull, not the gap between texts and images.
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'match_gap'
default_hooks = dict(class_means=dict(match_gap=True))
