"""ZS-LP held to the class names' embeddings, class by class (CLAP).

    python tools/train.py configs/methods/clap.py --on configs/lmmreg_bar.py

Original (Silva-Rodriguez et al. 2024): as zs_lp; how strongly a class is held is its mean zero-shot
probability over 20 random crops of each of its images, and nothing is tuned. Ours: over one view.
"""

_base_ = 'zs_lp.py'

method = 'clap'
model = dict(head=dict(type='CLAPHead'))
