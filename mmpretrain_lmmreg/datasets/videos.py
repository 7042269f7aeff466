"""One frame of each video, as a JPEG."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from PIL import Image

from ..errors import InputError
from ..io.files import save_atomic
from ..progress import track

JPEG_QUALITY = 95  # without chroma subsampling: a fifth of a PNG's size


def frame_position(text: str) -> float:
    """Parse ``'middle'``, ``'first'`` or a fraction of the video in [0, 1)."""
    try:
        position = {'middle': 0.5, 'first': 0.0}.get(text)
        position = float(text) if position is None else position
    except ValueError:
        position = -1.0
    if not 0 <= position < 1:
        raise InputError(
            f"frame must be 'middle', 'first' or a fraction in [0, 1), not {text!r}",
            code='config.unknown_value',
        )
    return position


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
        if frames < 0.95 * declared:  # headers of whole files are off by a frame or two
            raise InputError(f'ends after {frames} of {declared} frames', code='data.damaged_video')
        wanted = int(position * frames)
        with av.open(str(video)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index == wanted:
                    return frame.to_image()
    except IndexError:
        raise InputError('has no frames, only sound', code='data.damaged_video') from None
    except av.FFmpegError as error:
        raise InputError(
            f'cannot be decoded: {error.strerror}', code='data.damaged_video'
        ) from None
    raise InputError(f'frame {wanted} of {frames} cannot be decoded', code='data.damaged_video')


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


def write_frames(
    videos: Mapping[Path, Path], position: float, workers: int | None = None
) -> list[str]:
    """Write a frame of each video to its image and return what went wrong, a line a video.

    Images that are there already are left alone, so that a stopped run goes on. Decoders run
    outside of Python's lock: threads are as fast as processes here.
    """
    import_av()

    def write(video: Path, image: Path) -> None:
        frame = read_frame(video, position)
        with save_atomic(image) as file:
            frame.save(file, 'JPEG', quality=JPEG_QUALITY, subsampling=0)

    todo = {video: image for video, image in videos.items() if not image.exists()}
    problems = {}
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        jobs = {pool.submit(write, video, image): video for video, image in todo.items()}
        try:
            for job in track(as_completed(jobs), 'frames', len(jobs)):
                try:
                    job.result()
                except InputError as error:
                    problems[jobs[job]] = f'{jobs[job]}: {error}'
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [problems[video] for video in todo if video in problems]
