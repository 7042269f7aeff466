"""L2-regularised logistic regression on image embeddings.

    python tools/train.py configs/methods/logreg.py --on configs/lmmreg_bar.py

Original (Radford et al. 2021, linear probe): features before the projection (as logreg_trunk), C
searched on validation images. Ours: the embeddings that every method here gets, C=0.316 unless
tools/sweep.py chooses: --grid logreg:model.head.C=0.01,0.1,0.316,1,10
"""

_base_ = 'linear_probe.py'

method = 'logreg'
protocol = 'all training images, to convergence'
model = dict(
    head=dict(
        _delete_=True,
        type='LogisticRegressionHead',
        C=0.316,
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    )
)
train_cfg = dict(max_epochs=1)  # without a step, since nothing has a gradient
