"""The demo: one 4K video, from prompt to file, with a real Airflow and a simulated Highway API."""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from airflow_provider_kling.demo.checks import DAG_ID, CannotStart, check_machine, dags_folder, video_folder
from airflow_provider_kling.demo.local_airflow import LocalAirflow, StartFailed
from airflow_provider_kling.demo.options import resolve
from airflow_provider_kling.demo.rest import RestError

if TYPE_CHECKING:
    from airflow_provider_kling.simulator.server import KlingSimulator

TASK_ID = "render"
RENDER_SECONDS = 240.0  # about what the real service takes
SHOWN_SECONDS = 20.0  # and what we have patience for
TIMEOUT = 600.0

EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 130

STATES = {
    None: "waiting for the scheduler",
    "scheduled": "scheduled",
    "queued": "queued for a worker",
    "running": "running on a worker",
    "deferred": "deferred: no worker is held, the triggerer waits",
    "up_for_reschedule": "stepped aside, will try again later",
    "up_for_retry": "failed, will be tried again",
}


class RunFailed(Exception):
    """The DAG run did not succeed; the message says why."""


def run(args: argparse.Namespace) -> None:
    """Run the demo and exit: 0 done, 1 failed, 2 refused before anything was started, 130 interrupted.

    :param args: options as parsed from the command line
    """
    with _one_interrupt():
        try:
            options, conf, folder = _prepare(args)
            _perform(conf, folder, keep=options.keep)
        except KeyboardInterrupt:
            print("Stopped: no process is left.", file=sys.stderr)
            sys.exit(EXIT_INTERRUPTED)
        except CannotStart as error:
            print(error, file=sys.stderr)
            sys.exit(EXIT_REFUSED)
        except (RunFailed, StartFailed, RestError, TimeoutError) as error:
            print(error, file=sys.stderr)
            sys.exit(EXIT_FAILED)


def _prepare(args: argparse.Namespace) -> tuple[argparse.Namespace, dict[str, Any], Path]:
    """Check all that can be checked before anything is started; return options, DAG conf and DAGs folder."""
    check_machine()
    from airflow_provider_kling.api.models import TextToVideo

    names = {"prompt", "duration", "aspect_ratio", "sound"}
    try:
        options = resolve(args)
        request = TextToVideo.parse(**{name: getattr(options, name) for name in names})
    except ValueError as error:
        raise CannotStart(str(error)) from None
    video = video_folder(options.output) / f"kling-{time.strftime('%Y%m%d-%H%M%S')}.mp4"
    return options, request.model_dump(include=names) | {"save_to": str(video)}, dags_folder()


def _perform(conf: dict[str, Any], folder: Path, *, keep: bool) -> None:
    from airflow_provider_kling.simulator import KlingSimulator

    start = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - start:6.1f} s  {text}", flush=True)

    say(f"checked: {conf['prompt']!r}, {conf['duration']} s, {conf['aspect_ratio']}, sound {conf['sound']}")
    speed = RENDER_SECONDS / SHOWN_SECONDS
    simulated = KlingSimulator(render_seconds=RENDER_SECONDS, speed=speed, eta=True)
    with _throw_away_home() as home, simulated as simulator:
        say(f"simulated Highway API at {simulator.base_url}; starting Airflow ...")
        env = {
            "AIRFLOW_CONN_KLING_DEFAULT": simulator.connection_json,
            "AIRFLOW__KLING__PREVIEW_ROOTS": str(Path(conf["save_to"]).parent),
        }
        with LocalAirflow(home=home, dags_folder=folder, env=env) as airflow:
            say(f"Airflow is healthy at {airflow.base_url}")
            airflow.wait_for_dag(DAG_ID)
            airflow.unpause(DAG_ID)
            run_id = airflow.trigger(DAG_ID, conf)
            say(f"triggered {DAG_ID}, run {run_id}")
            worker = _follow(airflow, simulator, run_id, say)
            manifest = airflow.xcom(DAG_ID, run_id, TASK_ID)
            say(f"saved {manifest['saved_to']}")
            print(f"\n{_summary(manifest, simulator, worker)}", flush=True)
            if keep:
                gallery = f"{airflow.base_url}/plugin/kling-renders"
                print(f"\nSee it in Airflow's UI: {gallery} (no password: you are admin). Ctrl-C stops it.", flush=True)
                signal.pause()


def _follow(airflow: LocalAirflow, simulator: "KlingSimulator", run_id: str, say: Callable[[str], None]) -> str:
    """Tell what happens until the run has succeeded; return how long a worker slot was held."""
    told: set[str] = set()
    start = before = time.monotonic()
    state, held = None, 0.0
    while (run_state := airflow.run_state(DAG_ID, run_id)) != "success":
        (task,) = (found for found in airflow.task_instances(DAG_ID, run_id) if found["task_id"] == TASK_ID)
        now = time.monotonic()
        if run_state == "failed":
            raise RunFailed(_errors(airflow, run_id, task["try_number"]))
        if now - start > TIMEOUT:
            raise RunFailed(f"The run is still {run_state} after {TIMEOUT:.0f} s.")
        news = [f"submitted, task_id {render.task_id}" for render in simulator.accepted]
        news += [_progress(render.at) for render in simulator.accepted]
        for text in news:
            if text not in told:
                told.add(text)
                say(text)
        if task["state"] != state:
            state = task["state"]
            say(STATES.get(state, state))
        held += now - before if state == "running" else 0.0
        before = now
        time.sleep(0.2)
    return f"a slot was held for {held:.1f} of {before - start:.1f} s"


def _progress(submitted_at: float) -> str:
    share = (time.time() - submitted_at) / SHOWN_SECONDS
    return f"rendering {int(share * 5) * 20} %" if share < 1 else "rendered; the trigger sees it when it asks again"


def _errors(airflow: LocalAirflow, run_id: str, attempts: int) -> str:
    lines = [
        line
        for attempt in range(1, attempts + 1)
        for line in airflow.logs(DAG_ID, run_id, TASK_ID, attempt).splitlines()
        if " error " in line
    ]
    return "The task failed:\n" + "\n".join(lines or ["(no error in its log)"])


def _summary(manifest: dict[str, Any], simulator: "KlingSimulator", worker: str) -> str:
    import av

    with av.open(manifest["saved_to"]) as container:
        picture = container.streams.video[0].codec_context
        seconds = (container.duration or 0) / av.time_base
        size = f"{manifest['bytes'] / 1e6:.1f} MB"
        sound = f"{len(container.streams.audio)} sound track(s)"
        form = f"{picture.name} {picture.width}x{picture.height}, {seconds:.1f} s, {sound}, {size}"
    rows = {
        "video": manifest["saved_to"],
        "format": form,
        "sha256": manifest["sha256"],
        "bought": f"{len(simulator.accepted)} render; its state was asked {simulator.polls} times",
        "worker": worker,
    }
    return "\n".join(f"{name:>8}  {value}" for name, value in rows.items())


@contextlib.contextmanager
def _throw_away_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="kling-demo-"))
    try:
        yield home
    except Exception:
        print(f"Logs are kept in {home / 'logs'}", file=sys.stderr)
        raise
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def _one_interrupt() -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into `KeyboardInterrupt`; the next must not cut the clean-up short."""
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        print("\nStopping ...", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
