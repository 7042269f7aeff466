_base_ = ['clip_images.py']
import os

data_root = os.environ.get('UCF101_ROOT') or 'data/ucf101'
data = dict(dataset=dict(type='UCF101', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data

templates = ['a photo of a person doing {}.']  # of CoOp's zero-shot, Tip-Adapter and GDA
sentences = os.environ.get('UCF101_SENTENCES') or 'data/ucf101/class_sentences.json'
