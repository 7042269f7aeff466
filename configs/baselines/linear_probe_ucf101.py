"""Linear classifier on CLIP's frozen image embeddings on UCF101.

python tools/train.py configs/baselines/linear_probe_ucf101.py
"""

_base_ = ['finetune_ucf101.py']

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
