"""Draws the videos: real H.264, of the right size and length, with the prompt to be read in them.

Only one still per shot is drawn and converted; from frame to frame just the bar at the bottom grows, in
the luma plane and by a few columns. That is what makes 4K fast.
"""

from __future__ import annotations

import math
import tempfile
from array import array
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import av
    from av.video.frame import PictureType
    from av.video.reformatter import Colorspace
    from PIL import Image  # noqa: F401 - so that the message below comes at once
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing.name} is missing, without which no video can be drawn: "
        "pip install 'airflow-provider-kling[simulator]'"
    ) from missing

from airflow_provider_kling.simulator.still import bar_of, draw_still

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

SAMPLE_RATE = 48_000
BT709 = 1
WHITE = b"\xeb"
# A constant quantiser: rate control alone would take a third of the time.
X264 = {"preset": "ultrafast", "qp": "28", "x264-params": "scenecut=0:no-deblock=1:aq-mode=0"}
SECONDS_BETWEEN_KEYFRAMES = 5


def render_video(
    *, width: int, height: int, seconds: int, sound: bool, shots: Sequence[tuple[str, int]], fps: int = 24
) -> bytes:
    """Return an MP4.

    :param width: in pixels, even.
    :param height: in pixels, even.
    :param seconds: the length; the shots' seconds must add up to it.
    :param sound: whether to add a stereo track with a soft tone for each shot.
    :param shots: prompt and seconds of each shot.
    :param fps: frames per second; 24 by default.
    """
    if sum(length for _, length in shots) != seconds:
        raise ValueError("the shots do not add up to the length")
    # A file, because the muxer reads back what it wrote when it moves the header to the front.
    with tempfile.TemporaryDirectory(prefix="kling-simulator-") as folder:
        path = Path(folder, "film.mp4")
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            video = _video_stream(container, width, height, fps)
            audio = _audio_stream(container) if sound else None
            tones = _tones(shots) if audio else iter(())
            for position, frame in enumerate(_frames(shots, width, height, fps)):
                container.mux(video.encode(frame))
                if audio and position % fps == 0:
                    container.mux(audio.encode(next(tones)))
            container.mux(video.encode(None))
            if audio:
                container.mux(audio.encode(None))
        return path.read_bytes()


def _video_stream(container: OutputContainer, width: int, height: int, fps: int) -> VideoStream:
    stream = container.add_stream("libx264", rate=fps, options=X264)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, fps)
    stream.codec_context.gop_size = SECONDS_BETWEEN_KEYFRAMES * fps
    stream.codec_context.colorspace = stream.codec_context.color_primaries = BT709
    stream.codec_context.color_trc = stream.codec_context.color_range = BT709
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    stream.codec_context.time_base = Fraction(1, SAMPLE_RATE)
    return stream


def _frames(shots: Sequence[tuple[str, int]], width: int, height: int, fps: int) -> Iterator[av.VideoFrame]:
    left, top, right, bottom = bar_of(width, height)
    total = fps * sum(length for _, length in shots)
    position = 0
    for index, (prompt, length) in enumerate(shots):
        picture = draw_still(width, height, prompt, index, len(shots))
        still: av.VideoFrame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
        frame = still.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.time_base = Fraction(1, fps)
        luma = memoryview(frame.planes[0]).cast("B")
        stride = frame.planes[0].line_size
        drawn = left
        for number in range(fps * length):
            frame.pict_type = PictureType.NONE if number else PictureType.I
            edge = left + (right - left) * (position + 1) // total
            fresh = WHITE * (edge - drawn)
            for row in range(top, bottom):
                luma[row * stride + drawn : row * stride + edge] = fresh
            drawn = edge
            frame.pts = position
            yield frame  # the same one each time: the encoder has copied it by then
            position += 1


def _tones(shots: Sequence[tuple[str, int]]) -> Iterator[av.AudioFrame]:
    second = 0
    for index, (_, length) in enumerate(shots):
        pitch = 220 + 55 * (index % 8)  # whole hertz, so that seconds join without a click
        wave = (0.08 * math.sin(2 * math.pi * pitch * t / SAMPLE_RATE) for t in range(SAMPLE_RATE))
        samples = array("f", wave).tobytes()
        for _ in range(length):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=SAMPLE_RATE)
            for plane in frame.planes:
                plane.update(samples)
            frame.sample_rate = SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            frame.pts = second * SAMPLE_RATE
            second += 1
            yield frame
