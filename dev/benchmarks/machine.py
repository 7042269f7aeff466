"""What the figures were measured on, and which targets are meant for such a machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from .measure import in_turns

PACKAGES = ('torch', 'torchvision', 'open_clip_torch', 'timm', 'onedl-mmengine', 'mmengine')
FLAGS = ('avx2', 'avx512f', 'avx512_bf16', 'amx_tile', 'amx_bf16', 'asimd', 'bf16')
FAST = 1.5  # times the float32 product's speed from which bfloat16 counts as fast
IDLE = 0.5  # running processes a core, of the last minute, up to which a machine counts as idle
SIDE = 1024


def describe_machine() -> dict:
    """CPU, its flags for matrix products, cores, memory, card, versions, load, bfloat16's speed."""
    info = _cpu_info()
    flags = info.get('flags', info.get('Features', '')).split()
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return dict(
        cpu=info.get('model name') or platform.processor() or platform.machine(),
        flags=[flag for flag in FLAGS if flag in flags],
        cores=_cores(),
        threads=torch.get_num_threads(),
        memory_gib=round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1),
        card=card,
        system=platform.platform(),
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        load=round(os.getloadavg()[0], 2),
        bfloat16_speed=round(bfloat16_speed(), 2),
    )


def not_judged(name: str, machine: dict) -> str:
    """Why the target of a row says nothing on this machine, or ''."""
    if name.endswith('_gib'):  # the same on any
        return ''
    if machine['load'] > IDLE * machine['cores']:
        return f'the machine was not idle, load {machine["load"]} on {machine["cores"]} cores'
    if name.startswith('trunk_') and machine['bfloat16_speed'] < FAST:
        return f'bfloat16 is not fast here, {machine["bfloat16_speed"]} times float32'
    return ''


def bfloat16_speed() -> float:
    """How many times as fast as a float32 matrix product one in bfloat16 is."""
    factor = torch.ones(SIDE, SIDE)
    low = factor.bfloat16()
    seconds = in_turns({'float32': lambda: factor @ factor, 'bfloat16': lambda: low @ low}, 5)
    return seconds['float32'] / seconds['bfloat16']


def _cpu_info() -> dict[str, str]:
    """The first core's lines of Linux's ``/proc/cpuinfo``; nothing elsewhere."""
    file = Path('/proc/cpuinfo')
    lines = file.read_text().split('\n\n')[0].splitlines() if file.is_file() else []
    pairs = (line.partition(':') for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
