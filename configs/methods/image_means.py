"""Control: LMM-Reg. with the class means of the training images' own embeddings.

    python tools/train.py configs/methods/image_means.py --on configs/lmmreg_bar.py

If this does as well as LMM-Reg., no text is needed.
"""

_base_ = 'class_names.py'

method = 'image_means'
default_hooks = dict(class_means=dict(source='images'))
