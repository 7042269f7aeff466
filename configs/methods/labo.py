"""LaBo (a bottleneck of concepts, chosen from sentences).

    python tools/train.py configs/methods/labo.py --on configs/lmmreg_bar.py

Original (Yang et al. 2023): CLIP ViT-L/14, some 500 phrases of GPT-3 a class, 1 shot to all
images, all classes; Adam, for UCF-101 at 1e-5 with batches of 256, the best of 5,000 epochs and
the weights of the choice by validation images. Ours: this model, the data's `sentences` (of an
LLM about each class; without any, the descriptions of the training images), all training images
(fewer by train_dataloader.dataset.shots), last of 100 epochs, at a rate by which the
association can move as far as in the original's run on UCF-101; whole sentences are concepts, at
most 50 a class. The weights of the choice unless tools/sweep.py chooses:
--grid labo:model.head.discriminability=20,200 --grid labo:model.head.coverage=1,10,100
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'labo'
source = 'LLM sentences' if _base_.sentences else 'descriptions'
protocol = f'all training images, last epoch; {source} of each class'
model = dict(
    backbone=dict(trainable='none'),
    head=dict(
        _delete_=True,
        type='LaBoHead',
        sentences={{_base_.sentences}},
        num_classes={{_base_.model.head.num_classes}},
        in_channels={{_base_.model.head.in_channels}},
    ),
)
optim_wrapper = dict(
    optimizer=dict(  # about 1 / number of training images
        lr=dict(UCF101=1e-4, DemoActions=2.5e-3).get(_base_.train_dataloader.dataset.type, 5e-4)
    )
)
