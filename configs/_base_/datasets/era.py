_base_ = ['clip_images.py']

data_root = '{{$ERA_ROOT:data/era}}'
data = dict(dataset=dict(type='ERA', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data
