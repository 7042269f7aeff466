_base_ = ['clip_images.py']
import os

data_root = os.environ.get('BAR_ROOT') or 'data/bar'
data = dict(dataset=dict(type='BAR', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data

# As UCF-101's prompt, for class names that are participles ('climbing', 'pole vaulting')
templates = ['a photo of a person {}.']
