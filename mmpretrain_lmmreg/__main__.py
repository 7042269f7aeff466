"""``python -m mmpretrain_lmmreg``: print the folder of the configs that come along."""

from .config import config_folder

if __name__ == '__main__':
    print(config_folder())
