_base_ = ['clip_images.py']

data_root = '{{$UCF101_ROOT:data/ucf101}}'
data = dict(dataset=dict(type='UCF101', data_root=data_root))
train_dataloader = data
val_dataloader = data
test_dataloader = data

templates = ['a photo of a person doing {}.']  # of CoOp's zero-shot, Tip-Adapter and GDA
sentences = '{{$UCF101_SENTENCES:data/ucf101/class_sentences.json}}'
labo_lr = 1e-4
