from .class_mean_reg import ClassMeanRegHead

__all__ = ['ClassMeanRegHead']
