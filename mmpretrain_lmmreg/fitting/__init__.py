"""Choose a method by cross-validation on the training images, and train it on all of them.

    candidates ──► held-out scores ──► choice ──► refit ──► exported folder, page, table

Symbols: N images, N_c classes, K folds, D the width of the joint space, D_trunk that of the trunk.
"""
