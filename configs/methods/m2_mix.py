"""Fine-tuning with geodesic mixtures of images and class means as hard negatives (m2-mix).

    python tools/train.py configs/methods/m2_mix.py --on configs/lmmreg_bar.py

Original (Oh et al. 2023): CLIP ViT-B/32, both towers train on pairs of image and caption for 9
epochs at 1e-6 in batches of 128, beside CLIP's own loss, by the code's defaults; its script takes
1e-5 or 7e-6, shares from Beta(0.5, 0.5), temperature 0.07 and weights of 0.001 to 0.05. Ours: the
projection and the linear classifier, with LMM-Reg.'s class means, schedule and batches; otherwise
the defaults, see M2MixHead. A weight of 0.01 unless tools/sweep.py chooses:
--grid m2_mix:model.head.alpha=0.001,0.01,0.1
"""

_base_ = __import__('os').environ.get('LMMREG_ON') or '../lmmreg_demo.py'

method = 'm2_mix'
model = dict(head=dict(type='M2MixHead', alpha=0.01))
