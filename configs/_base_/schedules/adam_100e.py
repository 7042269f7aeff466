# The paper's schedule, and where it is silent: Adam, constant rate, no weight decay.
# 'fused' is known to Adam, AdamW and SGD; another optimizer is given with _delete_=True.
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, weight_decay=0, fused=True)
)
param_scheduler = []
auto_scale_lr = dict(base_batch_size=64)

# The trunk is frozen: its features are computed once and kept on disk.
train_cfg = dict(type='FrozenTrunkTrainLoop', max_epochs=100, val_interval=1)
val_cfg = dict(type='FrozenTrunkValLoop')
test_cfg = dict(type='FrozenTrunkTestLoop')

# What a table of results says about this protocol.
protocol = 'all training images, last epoch'
