"""L2-regularised logistic regression on the features before CLIP's projection.

    python tools/train.py configs/methods/logreg_trunk.py --on configs/lmmreg_bar.py

Original (Radford et al. 2021, linear probe): C searched on validation images. Ours: C=0.316 unless
tools/sweep.py chooses: --grid logreg_trunk:model.head.C=0.001,0.01,0.1,0.316,1
"""

_base_ = 'logreg.py'

method = 'logreg_trunk'
model = dict(backbone=dict(output='trunk'), head=dict(in_channels=None))
