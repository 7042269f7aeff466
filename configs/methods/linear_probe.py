"""Linear classifier on CLIP's frozen image embeddings.

python tools/train.py configs/methods/linear_probe.py --on configs/lmmreg_bar.py
"""

_base_ = 'finetune.py'

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
