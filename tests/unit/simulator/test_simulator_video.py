"""The videos are what they say: codec, pixels, length, sound, shots."""

from __future__ import annotations

import builtins
import io
import sys
from fractions import Fraction
from typing import Any

import av
import pytest

from airflow_provider_kling.simulator.downloads import FilmStore
from airflow_provider_kling.simulator.rules import check
from airflow_provider_kling.simulator.still import draw_still
from airflow_provider_kling.simulator.video import render_video


def opened(film: bytes) -> Any:
    return av.open(io.BytesIO(film))


def means(film: bytes, *positions: int) -> list[tuple[float, float, float]]:
    """Return the mean colour of the frames at these positions."""
    with opened(film) as container:
        frames = [frame for n, frame in enumerate(container.decode(video=0)) if n in positions]
        pictures = [frame.to_image().resize((1, 1), resample=4) for frame in frames]
    return [picture.getpixel((0, 0)) for picture in pictures]


def box_order(film: bytes) -> list[bytes]:
    kinds, position = [], 0
    while position < len(film):
        kinds.append(film[position + 4 : position + 8])
        position += int.from_bytes(film[position : position + 4])
    return kinds


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("seconds", [3, 4, 7, 15])
def test_codec_and_exact_length(seconds: int, sound: bool) -> None:
    film = render_video(width=160, height=90, seconds=seconds, sound=sound, shots=[("a fox", seconds)])
    with opened(film) as container:
        (video,) = container.streams.video
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, video.average_rate) == (160, 90, 24)
        assert container.duration == seconds * av.time_base
        assert video.duration * video.time_base == seconds
        assert len(container.streams.audio) == sound
        for audio in container.streams.audio:
            assert (audio.codec_context.name, audio.layout.nb_channels, audio.rate) == ("aac", 2, 48_000)
            assert abs(audio.duration * audio.time_base - seconds) <= Fraction(1024, 48_000)
        assert sum(1 for _ in container.decode(video)) == seconds * 24
    assert box_order(film)[:2] == [b"ftyp", b"moov"]


def test_one_second_shots_cut_where_they_should() -> None:
    film = render_video(width=160, height=90, seconds=3, sound=True, shots=[(n, 1) for n in "abc"])
    before, first, last, after = means(film, 22, 23, 24, 25)
    assert max(abs(a - b) for a, b in zip(before, first, strict=True)) < 5
    assert max(abs(a - b) for a, b in zip(first, last, strict=True)) > 40
    assert max(abs(a - b) for a, b in zip(last, after, strict=True)) < 5


def test_every_shot_begins_with_a_keyframe() -> None:
    film = render_video(width=160, height=90, seconds=4, sound=False, shots=[("a", 1), ("b", 3)])
    with opened(film) as container:
        keys = [n for n, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
    assert keys == [0, 24]


def test_something_moves() -> None:
    film = render_video(width=480, height=270, seconds=3, sound=False, shots=[("a fox", 3)])
    with opened(film) as container:
        pictures = [frame.to_image() for frame in container.decode(video=0)]
    half = pictures[36]
    y = 270 - 15 - 2
    assert half.getpixel((60, y))[1] > 200
    assert half.getpixel((420, y))[1] < 90
    assert pictures[71].getpixel((460, y))[1] > 200


def test_the_tone_is_heard_and_soft() -> None:
    film = render_video(width=160, height=90, seconds=3, sound=True, shots=[("a", 3)])
    with opened(film) as container:
        loudest = 0.0
        for frame in container.decode(audio=0):
            for plane in frame.planes:
                loudest = max(loudest, *memoryview(plane).cast("B").cast("f"))
    assert 0.05 < loudest < 0.2


@pytest.mark.parametrize(
    ("model", "ratio", "size"),
    [
        ("kling-v3.0-4k-t2v", "16:9", (3840, 2160)),
        ("kling-v3.0-4k-t2v", "9:16", (2160, 3840)),
        ("kling-v3.0-4k-t2v", "1:1", (2160, 2160)),
        ("kling-v3.0-pro-t2v", "16:9", (1920, 1080)),
        ("kling-v3.0-std-t2v", "9:16", (1080, 1920)),
    ],
)
def test_sizes(model: str, ratio: str, size: tuple[int, int]) -> None:
    order = check({"prompt": "a fox in the snow", "duration": 3, "aspect_ratio": ratio})
    with opened(FilmStore(2160).film(model, order)) as container:
        video = container.streams.video[0]
        frame = next(container.decode(video))
        assert (video.width, video.height) == (frame.width, frame.height) == size


def test_a_film_that_was_forgotten_is_drawn_the_same_again() -> None:
    store = FilmStore(90, keep=1)
    one, other = (check({"prompt": prompt, "duration": 3, "sound": True}) for prompt in ("a", "b"))
    first = store.film("kling-v3.0-4k-t2v", one)
    assert store.film("kling-v3.0-4k-t2v", other) != first
    assert store.film("kling-v3.0-4k-t2v", one) == first


@pytest.mark.parametrize(
    "prompt", ["a fox", "x" * 2500, "fox " * 625, "狐" * 2500, "\ud800", "a\nb\n\nc", "🦊 zebra", "e\u0301 \u202eabc"]
)
def test_any_prompt_can_be_drawn_and_stays_in_the_picture(prompt: str) -> None:
    blank = draw_still(480, 270, " ", 0, 1)
    picture = draw_still(480, 270, prompt, 0, 1)
    assert picture.tobytes() != blank.tobytes()
    # Neither the bar below nor the margin to the right is written on.
    for edge in ((0, 250, 480, 270), (466, 40, 480, 250)):
        assert picture.crop(edge).tobytes() == blank.crop(edge).tobytes()


def test_wrong_sum_is_refused() -> None:
    with pytest.raises(ValueError, match="add up"):
        render_video(width=160, height=90, seconds=3, sound=False, shots=[("a", 2)])


def test_missing_extra_says_what_to_install(caller: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    link = caller.link()
    real = builtins.__import__

    def without_av(name: str, *how: Any) -> Any:
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'", name="av")
        return real(name, *how)

    monkeypatch.delitem(sys.modules, "airflow_provider_kling.simulator.video")
    monkeypatch.setattr(builtins, "__import__", without_av)
    answer = caller.http.get(link)
    assert answer.status_code == 500
    assert "pip install 'airflow-provider-kling[simulator]'" in answer.text
