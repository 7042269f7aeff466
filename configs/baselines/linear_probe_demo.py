"""Linear classifier on CLIP's frozen image embeddings on the demo.

python tools/train.py configs/baselines/linear_probe_demo.py
"""

_base_ = ['finetune_demo.py']

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
