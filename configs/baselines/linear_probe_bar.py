"""Linear classifier on CLIP's frozen image embeddings on BAR.

python tools/train.py configs/baselines/linear_probe_bar.py
"""

_base_ = ['finetune_bar.py']

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
