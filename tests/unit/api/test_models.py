"""What is sent, what is refused before it is sent, and how liberally an answer is read."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import JSON, patient
from pydantic import ValidationError

from airflow_provider_kling.api.errors import InvalidRequest, PollFailed
from airflow_provider_kling.api.models import Render, RenderStatus, Shot, TextToVideo
from airflow_provider_kling.simulator import rules

SHOTS = [{"prompt": "a fox", "duration": 2}, {"prompt": "a hare", "duration": 3}]
PROMPT = {"prompt": "a fox"}
BAD_INPUT = [
    pytest.param({}, ["prompt is missing", "give prompt, or multi_prompt"], id="no prompt"),
    pytest.param({"prompt": ""}, ["prompt=''", "not blank"], id="empty prompt"),
    pytest.param({"prompt": " \n\t"}, [r"prompt=' \n\t'", "not blank"], id="blank prompt"),
    pytest.param({"prompt": 5}, ["prompt=5", "must be a text"], id="number as prompt"),
    pytest.param(
        {**PROMPT, "multi_prompt": SHOTS}, ["prompt='a fox'", "multi_prompt (2 shots)", "remove one"], id="both"
    ),
    pytest.param({"prompt": "x" * 2501}, ["prompt='xxx", "2501 characters", "1 to 2500"], id="long prompt"),
    pytest.param({**PROMPT, "duration": 2}, ["duration=2", "from 3 to 15"], id="too short"),
    pytest.param({**PROMPT, "duration": 16}, ["duration=16", "from 3 to 15"], id="too long"),
    pytest.param({**PROMPT, "duration": 5.5}, ["duration=5.5", "whole number"], id="half a second"),
    pytest.param({**PROMPT, "duration": "abc"}, ["duration='abc'", "whole number"], id="no number"),
    pytest.param({**PROMPT, "duration": True}, ["duration=True", "whole number"], id="True as duration"),
    pytest.param({**PROMPT, "cfg_scale": -0.1}, ["cfg_scale=-0.1", "from 0 to 1"], id="negative cfg_scale"),
    pytest.param({**PROMPT, "cfg_scale": 1.1}, ["cfg_scale=1.1", "from 0 to 1"], id="cfg_scale above 1"),
    pytest.param({**PROMPT, "cfg_scale": math.nan}, ["cfg_scale=nan", "from 0 to 1"], id="cfg_scale nan"),
    pytest.param({**PROMPT, "cfg_scale": "nan"}, ["cfg_scale='nan'", "from 0 to 1"], id="cfg_scale 'nan'"),
    pytest.param({**PROMPT, "cfg_scale": False}, ["cfg_scale=False", "from 0 to 1"], id="False as cfg_scale"),
    pytest.param({**PROMPT, "aspect_ratio": "4:3"}, ["aspect_ratio='4:3'", '"16:9", "9:16", "1:1"'], id="4:3"),
    pytest.param({**PROMPT, "aspect_ratio": 969}, ["aspect_ratio=969", "in quotes"], id="16:9 unquoted in YAML"),
    pytest.param(
        {**PROMPT, "negative_prompt": "x" * 2501}, ["negative_prompt=", "2501 characters", "at most 2500"], id="long no"
    ),
    pytest.param({**PROMPT, "sound": "loud"}, ["sound='loud'", "true or false"], id="sound"),
    pytest.param(
        {"multi_prompt": SHOTS, "duration": 6}, ["duration=6", "add up to 5", "leave duration out"], id="other sum"
    ),
    pytest.param({"multi_prompt": []}, ["multi_prompt=[]", "non-empty list"], id="no shots"),
    pytest.param({"multi_prompt": "[]"}, ["multi_prompt=", "non-empty list"], id="no shots in a text"),
    pytest.param({"multi_prompt": "{{}}"}, ["multi_prompt=", "non-empty list"], id="an empty template"),
    pytest.param({"multi_prompt": [5]}, ["multi_prompt.0=5", "list of shots like"], id="number as shot"),
    pytest.param({"multi_prompt": [SHOTS[0]]}, ["multi_prompt adds up to 2", "3 to 15"], id="shots too short"),
    pytest.param({"multi_prompt": SHOTS * 4}, ["multi_prompt adds up to 20", "3 to 15"], id="shots too long"),
    pytest.param(
        {"multi_prompt": [{"prompt": "a", "duration": 0}]}, ["multi_prompt.0.duration=0", "at least 1"], id="0 s shot"
    ),
    pytest.param(
        {"multi_prompt": [{"prompt": " ", "duration": 3}]}, ["multi_prompt.0.prompt=' '", "not blank"], id="blank shot"
    ),
    pytest.param(
        {"multi_prompt": [{"prompt": "a"}]}, ["multi_prompt.0.duration is missing", "at least 1"], id="no length"
    ),
    pytest.param(
        {"multi_prompt": [{**SHOTS[1], "sound": True}]},
        ["multi_prompt.0.sound", "no such field", "prompt, duration"],
        id="unknown field in a shot",
    ),
    pytest.param({**PROMPT, "seed": 1}, ["seed", "no such field", "negative_prompt, duration"], id="unknown field"),
    pytest.param({"prompt": "a \ud800 fox"}, [r"prompt='a \ud800 fox'", "must be a text"], id="lone surrogate"),
    pytest.param({"prompt": "a \0 fox"}, ["prompt=", "must be a text"], id="NUL"),
    pytest.param({**PROMPT, "negative_prompt": "\udfff"}, ["negative_prompt=", "must be a text"], id="surrogate in no"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_INPUT)
def test_bad_input_is_refused_with_field_value_and_fix(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        TextToVideo.parse(**fields)
    for word in words:
        assert word in refused.value.message
    refused.value.message.encode()  # can be logged
    assert refused.value.bought == "no"


def test_every_mistake_gets_its_own_line() -> None:
    with pytest.raises(InvalidRequest) as refused:
        TextToVideo.parse(prompt="", duration=2, aspect_ratio="4:3")
    fields = [line.partition("=")[0] for line in refused.value.message.splitlines()]
    assert fields == ["prompt", "duration", "aspect_ratio"]


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (PROMPT, PROMPT),
        ({"prompt": "x" * 2500}, {"prompt": "x" * 2500}),
        ({**PROMPT, "duration": "8"}, {**PROMPT, "duration": 8}),
        ({**PROMPT, "duration": 3}, {**PROMPT, "duration": 3}),
        ({**PROMPT, "duration": 15}, {**PROMPT, "duration": 15}),
        ({**PROMPT, "cfg_scale": "0.5", "sound": "true"}, {**PROMPT, "cfg_scale": 0.5, "sound": True}),
        ({**PROMPT, "cfg_scale": 0, "sound": False}, {**PROMPT, "cfg_scale": 0, "sound": False}),
        ({**PROMPT, "negative_prompt": "", "aspect_ratio": None}, {**PROMPT, "negative_prompt": ""}),
        ({"multi_prompt": SHOTS}, {"multi_prompt": SHOTS, "duration": 5}),
        ({"multi_prompt": json.dumps(SHOTS)}, {"multi_prompt": SHOTS, "duration": 5}),
        ({"multi_prompt": str(SHOTS), "duration": "5"}, {"multi_prompt": SHOTS, "duration": 5}),
        ({"multi_prompt": [Shot(prompt="a", duration=3)]}, {"multi_prompt": [{"prompt": "a", "duration": 3}]}),
    ],
)
def test_the_body_holds_what_was_given_and_nothing_else(fields: dict[str, Any], body: dict[str, Any]) -> None:
    request = TextToVideo.parse(**fields)
    assert request.body() == ({"duration": 3} | body if "multi_prompt" in body else body)
    rules.check(request.body())  # the simulator knows the API page too


@patient
@given(st.dictionaries(st.sampled_from([*TextToVideo.model_fields, "seed"]), JSON | st.just("a fox")))
def test_whatever_is_given_is_either_refused_or_fit_for_the_wire(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        request = TextToVideo.parse(**fields)
        rules.check(json.loads(json.dumps(request.body()).encode()))


@patient
@given(st.text(alphabet="{}[]()'\",:ab1 ", max_size=30))
def test_any_rendered_text_as_shots_is_read_or_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        TextToVideo.parse(multi_prompt=text)


@pytest.mark.parametrize(
    ("fields", "seconds"), [(PROMPT, 5), ({**PROMPT, "duration": 7}, 7), ({"multi_prompt": SHOTS[1:]}, 3)]
)
def test_the_length_is_what_the_service_will_bill(fields: dict[str, Any], seconds: int) -> None:
    assert TextToVideo.parse(**fields).seconds == seconds


def test_the_direct_constructor_refuses_with_pydantics_own_error() -> None:
    with pytest.raises(ValidationError):
        TextToVideo(prompt="")


class TestFingerprint:
    @staticmethod
    def of(model: str = "m", account: str = "https://a", **fields: Any) -> str:
        return TextToVideo.parse(**fields).fingerprint(model=model, account=account)

    def test_equal_purchases_have_equal_fingerprints(self) -> None:
        assert self.of(prompt="a", duration="8") == self.of(duration=8, prompt="a", sound=None)
        assert self.of(multi_prompt=SHOTS) == self.of(multi_prompt=str(SHOTS), duration=5)
        assert re.fullmatch("[0-9a-f]{64}", self.of(prompt="狐 🦊"))

    def test_another_prompt_length_model_or_account_is_another_purchase(self) -> None:
        prints = [
            self.of(prompt="a"),
            self.of(prompt="b"),
            self.of(prompt="a", duration=6),
            self.of(prompt="a", model="n"),
            self.of(prompt="a", account="https://b"),
        ]
        assert len(set(prints)) == len(prints)


def test_hearsay_limits_are_warned_about_and_not_refused() -> None:
    assert TextToVideo.parse(multi_prompt=SHOTS).cautions() == []
    many = TextToVideo.parse(multi_prompt=[{"prompt": "x" * 513, "duration": 1}] * 7)
    seven, long = many.cautions()
    assert "7 shots" in seven
    assert "512" in long


def read(task: Any = None, **rest: Any) -> Render:
    return Render.read({"task": task or {"status": "TASK_STATUS_SUCCEED"}, **rest}, task_id="t")


class TestReadingARender:
    @pytest.mark.parametrize(
        ("written", "status"),
        [
            ("TASK_STATUS_QUEUED", RenderStatus.QUEUED),
            ("TASK_STATUS_PROCESSING", RenderStatus.PROCESSING),
            ("TASK_STATUS_SUCCEED", RenderStatus.SUCCEED),
            ("TASK_STATUS_FAILED", RenderStatus.FAILED),
            ("succeed", RenderStatus.SUCCEED),
            ("TASK_STATUS_UNKNOWN", RenderStatus.OTHER),
            ("TASK_STATUS_OTHER", RenderStatus.OTHER),
            ("TASK_STATUS_", RenderStatus.OTHER),
            (7, RenderStatus.OTHER),
        ],
    )
    def test_the_status_is_known_or_means_still_waiting(self, written: Any, status: RenderStatus) -> None:
        render = read({"status": written})
        assert (render.status, render.raw_status) == (status, str(written))

    @pytest.mark.parametrize("task", [None, {}, {"status": ""}, {"status": "  "}, {"status": None}, [], "x"])
    def test_an_answer_without_a_status_is_no_answer(self, task: Any) -> None:
        with pytest.raises(PollFailed) as failed:
            Render.read({"task": task}, task_id="t")
        assert (failed.value.task_id, failed.value.bought) == ("t", "yes")

    @pytest.mark.parametrize("number", [45, "45", 45.0, " 45 "])
    def test_numbers_may_come_as_strings(self, number: Any) -> None:
        task = {"status": "TASK_STATUS_PROCESSING", "eta": number, "progress_percent": number}
        render = read(task, videos=[{"video_url": "https://v", "video_url_ttl": number}])
        assert (render.eta, render.progress_percent, render.video_url_ttl) == (45, 45, 45)

    @pytest.mark.parametrize("number", [0, "0", None, "", "soon", -1, "nan", "inf", math.inf, 10**400, [], {}])
    def test_a_number_that_says_nothing_is_unknown(self, number: Any) -> None:
        task = {"status": "x", "eta": number, "progress_percent": number}
        render = read(
            task,
            videos=[{"video_url": "https://v", "video_url_ttl": number}],
            extra={"debug_info": {"complete_time_ms": number}},
        )
        assert (render.eta, render.progress_percent, render.video_url_ttl, render.finished_at) == (None,) * 4

    @pytest.mark.parametrize("videos", [None, [], {}, [{}], [None], [{"video_url": ""}], "none"])
    def test_a_finished_render_may_come_without_a_link(self, videos: Any) -> None:
        assert read(videos=videos).video_url is None

    def test_the_first_video_with_a_link_counts(self) -> None:
        render = read(videos=[{"video_type": "gif"}, {"video_url": "https://v", "video_type": "mp4"}])
        assert (render.video_url, render.video_type) == ("https://v", "mp4")

    def test_the_end_is_told_in_seconds(self) -> None:
        assert read(extra={"debug_info": {"complete_time_ms": "1750000000500"}}).finished_at == 1750000000.5

    def test_an_answer_about_another_task_is_not_believed(self) -> None:
        with pytest.raises(PollFailed, match="about another one"):
            read({"status": "TASK_STATUS_FAILED", "task_id": "someone-elses"})
        assert read({"status": "TASK_STATUS_FAILED", "task_id": " t "}).task_id == "t"

    def test_its_repr_does_not_show_the_signed_link(self) -> None:
        assert "signature" not in repr(read(videos=[{"video_url": "https://v?signature"}]))

    @patient
    @given(st.dictionaries(st.sampled_from(["task", "videos", "extra"]), JSON))
    def test_no_answer_surprises_us(self, body: dict[str, Any]) -> None:
        with contextlib.suppress(PollFailed):
            Render.read(body, task_id="t")

    @patient
    @given(
        st.fixed_dictionaries(
            {"status": st.text(min_size=1).filter(str.strip)},
            optional=dict.fromkeys(["reason", "eta", "progress_percent"], JSON),
        ),
        JSON,
    )
    def test_a_status_is_enough_for_a_render(self, task: dict[str, Any], videos: Any) -> None:
        assert read(task, videos=videos).task_id == "t"
