"""Zero-shot classifier that first infers an image's context (PerceptionCLIP).

    python tools/train.py configs/methods/perception_clip.py --on configs/lmmreg_bar.py

Original (An et al. 2024): attributes and values chosen for each data set, with an LLM's help; two
steps, or one. Ours: two steps; the three attributes below for all data, which are of our choice,
and the first of the data's `templates`. Others: model.head.attributes; contexts inferred without
the classes: model.head.class_free=True.
"""

_base_ = 'zero_shot.py'

method = 'perception_clip'
model = dict(
    head=dict(
        type='PerceptionCLIPHead',
        attributes=[
            ['', ', outdoors', ', indoors'],
            ['', ', in bright light', ', in dim light'],
            ['', ', seen from nearby', ', seen from afar'],
        ],
    )
)
