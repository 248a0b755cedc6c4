#!/bin/sh
# Write constraints-<minor>.txt: what pip chooses today for one Airflow minor and all our extras.
#
#   constraints/update.sh 3.3 [python3.11]
#
# Freeze on the oldest Python we support: the newest releases that run there run on the newer ones too.
set -eu

minor=$1
python=${2:-python3.11}
here=$(cd "$(dirname "$0")" && pwd)
venv=$(mktemp -d)
trap 'rm -rf "$venv"' EXIT INT TERM

# Releases that came out after an Airflow minor and do not run with it.
case $minor in
  3.2) but="fastapi<0.137" ;;
  *) but="" ;;
esac

"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --upgrade pip
# shellcheck disable=SC2086  # empty means: no argument
"$venv/bin/pip" install --quiet "apache-airflow==$minor.*" "$here/..[dev]" $but
"$venv/bin/pip" check

release=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')
version=$("$venv/bin/python" -c 'import platform; print(platform.python_version())')
{
  echo "# Apache Airflow $release with airflow-provider-kling[dev]."
  echo "# Frozen on Python $version, $(date -u +%Y-%m-%d), by constraints/update.sh $minor."
  "$venv/bin/pip" freeze --exclude airflow-provider-kling | grep -v ' @ ' | LC_ALL=C sort -f
} >"$here/constraints-$minor.txt.new"
mv "$here/constraints-$minor.txt.new" "$here/constraints-$minor.txt"
