# The paper's model: CLIP ViT-L/14, of which the output projection and a linear classifier train.
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        # 255 times open_clip's mean and std
        mean=[255 * 0.48145466, 255 * 0.4578275, 255 * 0.40821073],
        std=[255 * 0.26862954, 255 * 0.26130258, 255 * 0.27577711],
        to_rgb=True,
    ),
    backbone=dict(
        type='OpenCLIPVisual',
        model_name='ViT-L-14-quickgelu',
        pretrained='openai',  # an open_clip tag, or a file
        trainable='proj',
    ),
    head=dict(type='ClassMeanRegHead', in_channels=768, alpha=1e-2),
)
