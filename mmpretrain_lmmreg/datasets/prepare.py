"""From a benchmark's download to the layout that its data set class reads: what they share.

Each ``prepare_*`` returns what went wrong, one line a problem, after doing all that can be done;
a mistake that leaves nothing to do raises InputError. Running it again does what is left.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ..errors import InputError, MissingInputError
from ..io.files import save_atomic
from ..io.printing import plain
from ..progress import track
from .files import locate

JPEG_QUALITY = 95  # without chroma subsampling: a fifth of a PNG's size


def files_below(path: str) -> list[Path]:
    """All files below a folder, sorted, or the one file itself."""
    if os.path.isfile(path):
        return [Path(path)]
    if not os.path.isdir(path):
        raise MissingInputError(f'no folder {str(path)!r}', code='data.missing_source')
    return [Path(at, name) for at, _, names in sorted(os.walk(path)) for name in sorted(names)]


def parts_of(source: str, *names: str) -> list[Path]:
    """Folders of ``source`` by name, letter case ignored."""
    found = locate(source, names)
    missing = [name for name, there in zip(names, found, strict=True) if there is None]
    if missing:
        raise MissingInputError(
            f'no folder {" or ".join(missing)} in {str(source)!r}', code='data.missing_source'
        )
    return [Path(source, there) for there in found if there]


def wrong_counts(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """A line for each part with another number of videos than is published."""
    return [
        f'{part}: {counts.get(part, 0):,} videos, {published[name]:,} are published'
        for part, name in (('train', 'trainval'), ('test', 'test'))
        if counts.get(part, 0) != published[name]
    ]


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    with open(source, 'rb') as original, save_atomic(target) as copy:
        shutil.copyfileobj(original, copy)


def run(prepare: Callable[..., list[str]], **arguments) -> int:
    """Exit code of a command: 0 if all went well; problems are listed on stderr."""
    problems = prepare(**arguments)
    for problem in problems:
        print(plain(problem), file=sys.stderr)
    root = arguments['data_root']
    print(f'{root}: {len(problems)} problems, see above' if problems else f'{root} is ready')
    return 1 if problems else 0


def frame_position(text: str) -> float:
    """Parse ``'middle'``, ``'first'`` or a fraction of the video in [0, 1)."""
    with suppress(ValueError):
        position = float({'middle': 0.5, 'first': 0}.get(text, text))
        if 0 <= position < 1:
            return position
    raise InputError(
        f"frame must be 'middle', 'first' or a fraction in [0, 1), not {text!r}",
        code='config.unknown_value',
    )


def read_frame(video: str | os.PathLike, position: float = 0.5) -> Image.Image:
    """Decode the frame at ``position``: number ``int(position * frames)``, counted from 0.

    Frames are counted, not taken from the header. A damaged or truncated video raises
    InputError that says what is wrong with it.
    """
    av = import_av()
    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            declared = stream.frames
            frames = sum(1 for packet in container.demux(stream) if packet.size)
        reason = f'ends after {frames} of {declared} frames'
        if frames >= 0.95 * declared:  # headers of whole files are off by a frame or two
            wanted = int(position * frames)
            reason = f'frame {wanted} of {frames} cannot be decoded'
            with av.open(str(video)) as container:
                for index, frame in enumerate(container.decode(video=0)):
                    if index == wanted:
                        return frame.to_image()
    except IndexError:
        reason = 'has no frames, only sound'
    except av.FFmpegError as error:
        reason = f'cannot be decoded: {error.strerror}'
    raise InputError(reason, code='data.damaged_video')


def import_av():
    """PyAV, or an error that says how to install it."""
    try:
        import av
    except ImportError:
        raise InputError(
            "reading videos needs PyAV: pip install 'mmpretrain_lmmreg[video]' (or av)",
            code='data.package_missing',
        ) from None
    av.logging.set_level(av.logging.PANIC)  # what goes wrong is raised, and reported once
    return av


def take_frames(
    videos: Mapping[Path, Path], root: Path, frame: str, workers: int | None = None
) -> list[str]:
    """Write a frame of each video to its image and return what went wrong, a line a video.

    Images that are there already are left alone, so that a stopped run goes on; ``frames.json``
    keeps frames of other positions apart. Decoders run outside of Python's lock: threads are as
    fast as processes here.

    Args:
        videos: The image of each video.
        root: Folder of the data set.
        frame: See :func:`frame_position`.
        workers: Videos at a time; one for each core by default.

    Raises:
        InputError: PyAV is missing; frames of another position lie in ``root``.
    """
    import_av()
    position, note = frame_position(frame), root / 'frames.json'
    if not note.exists():
        with save_atomic(note) as file:
            file.write(json.dumps({'frame': position}).encode())
    elif json.loads(note.read_text()) != {'frame': position}:
        raise InputError(
            f'{note} says that the frames there were taken at {note.read_text()}, not at '
            f'{position}: use another DATA_ROOT',
            code='data.other_frames',
        )

    def write(video: Path, image: Path) -> str:
        try:
            picture = read_frame(video, position)
        except InputError as error:
            return f'{video}: {error}'
        with save_atomic(image) as file:
            picture.save(file, 'JPEG', quality=JPEG_QUALITY, subsampling=0)
        return ''

    todo = {video: image for video, image in videos.items() if not image.exists()}
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        found = pool.map(write, todo, todo.values())
        return list(filter(None, track(found, 'frames', len(todo))))
