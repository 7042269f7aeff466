"""Linear classifier on CLIP's frozen image embeddings on ERA.

python tools/train.py configs/baselines/linear_probe_era.py
"""

_base_ = ['finetune_era.py']

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
