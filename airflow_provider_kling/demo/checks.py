"""What must hold before the demo starts anything, each with a line that says what to do."""

import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import airflow_provider_kling

DAG_ID = "kling_text_to_video"
MIN_FREE_GB = 1.0
INSTALL = "pip install 'airflow-provider-kling[simulator]'"


class CannotStart(Exception):
    """Something is missing or wrong; the message says what to do."""


def check_machine() -> None:
    """Check packages and disk.

    :raises CannotStart: at the first thing that does not hold
    """
    try:
        version("airflow-provider-kling")
    except PackageNotFoundError:
        raise CannotStart(f"Airflow only finds providers that are installed: {INSTALL}") from None
    if find_spec("av") is None or find_spec("PIL") is None:
        raise CannotStart(f"The simulator draws its videos with PyAV and Pillow: {INSTALL}")
    where = tempfile.gettempdir()
    free = shutil.disk_usage(where).free / 1e9
    if free < MIN_FREE_GB:
        raise CannotStart(
            f"{where} has {free:.1f} GB of free disk, {MIN_FREE_GB:.0f} GB is needed (TMPDIR chooses another place)."
        )


def video_folder(output: str) -> Path:
    """Return the folder for the video, which exists and can be written to.

    :param output: its path
    :raises CannotStart: when it can't be used
    """
    folder = Path(output).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CannotStart(f"The video can't be written to {folder}: {error.strerror}.") from None
    return folder


def dags_folder() -> Path:
    """Return the folder of the example DAGs: inside an installed package, beside it in a checkout.

    :raises CannotStart: when there is none
    """
    package = Path(airflow_provider_kling.__file__).parent
    for folder in (package / "example_dags", package.parent / "example_dags"):
        if (folder / f"{DAG_ID}.py").is_file():
            return folder
    raise CannotStart(f"The example DAG {DAG_ID}.py is missing from this installation.")
