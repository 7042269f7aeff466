_base_ = ['clip_images.py']

data_root = '{{$BAR_ROOT:data/bar}}'
data = dict(dataset=dict(type='BAR', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data

# As UCF-101's prompt, for class names that are participles ('climbing', 'pole vaulting')
templates = ['a photo of a person {}.']
