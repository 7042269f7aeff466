_base_ = ['clip_images.py']
import os

data_root = os.environ.get('ERA_ROOT') or 'data/era'
data = dict(dataset=dict(type='ERA', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data

# Frames of drones' videos, as EuroSAT's 'a centered satellite photo of {}.' says of its images
templates = ['an aerial photo of {}.']
