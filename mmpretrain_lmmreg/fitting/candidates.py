"""The methods that are compared, each with a small grid, in order of cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STEPS = 300  # of methods that train the projection, whatever the number of images
RATES = (1e-4, 3e-4, 1e-3)  # Adam's, of these methods


@dataclass(frozen=True)
class Candidate:
    """A method of ``configs/methods`` with settings.

    Args:
        name: Unique, as tables print it.
        method: Stem of the method's config.
        settings: Keys of the config and their values.
        simple: Place in the order from simple to complex; candidates of one family share it.
    """

    name: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    simple: int = 0


def _grid(method: str, key: str, values: tuple, simple: int, **more: Any) -> list[Candidate]:
    short = key.rpartition('.')[2]
    return [
        Candidate(f'{method} {short}={value:g}', method, {key: value, **more}, simple)
        for value in values
    ]


def _trained(method: str, simple: int, rates: tuple = RATES) -> list[Candidate]:
    steps = {'train_cfg.max_epochs': 1, 'train_cfg.min_iters': STEPS}
    return _grid(method, 'optim_wrapper.optimizer.lr', rates, simple, **steps)


CANDIDATES: tuple[Candidate, ...] = (
    Candidate('zero_shot', 'zero_shot', simple=0),
    Candidate('zero_shot_descriptions', 'zero_shot_descriptions', simple=1),
    *_grid('gda', 'model.head.alpha', (0.1, 1.0, 10.0), 2),
    *_grid('logreg', 'model.head.C', (0.01, 0.1, 1.0), 3),
    *_grid('logreg_trunk', 'model.head.C', (0.001, 0.01, 0.1), 4),
    *_trained('finetune', 9),
    *_trained('mean_start', 8, (1e-4,)),
    *_trained('lmmreg', 10),
    Candidate('tip_adapter_f', 'tip_adapter_f', simple=5),
    Candidate('wise_ft', 'wise_ft', simple=7),
    Candidate('clap', 'clap', simple=6),
)
