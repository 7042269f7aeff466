custom_imports = dict(imports=['mmpretrain_lmmreg.register'], allow_failed_imports=False)
default_scope = 'mmpretrain'
# Reads checkpoints as data, refuses those that do not fit, and writes them whole. mmpretrain's own
# tools look for it in mmengine's registry, so that it is named with its scope.
runner_type = 'mmpretrain.LMMRegRunner'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The last epoch is the one that is reported; the one before it is kept in case the last is
    # damaged. An epoch takes less time than writing ViT-L/14's checkpoint (1.2 GB), so not every
    # epoch is written.
    checkpoint=dict(type='AtomicCheckpointHook', interval=10, max_keep_ckpts=2),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    checks=dict(type='RunChecksHook'),
    class_means=dict(type='ClassMeanHook'),
    results=dict(type='ResultsHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
load_partly = False  # whether training may start from the weights of load_from that fit
resume = False
# An unseeded run cannot be resumed exactly.
randomness = dict(seed=0)
