"""Linear classifier on frozen embeddings on BAR with lite0-minilm (see lmmreg_bar_lite0.py).

python tools/train.py configs/baselines/linear_probe_bar_lite0.py
"""

_base_ = ['finetune_bar_lite0.py']

method = 'linear_probe'
model = dict(backbone=dict(trainable='none'))
