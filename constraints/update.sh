#!/bin/sh
# Write constraints-<minor>.txt: what pip chooses today for one Airflow minor and what `make test` needs; with "stores"
# or "bench" constraints-stores.txt or constraints-bench.txt, for `make stores` or `make bench` too (object stores bring
# hundreds of packages, which limit each other).
#
#   constraints/update.sh 3.3 [stores | bench] [python3.11]
#
# Freeze on the oldest Python we support: the newest releases that run there run on the newer ones too.
set -eu

minor=$1
name=$minor extras=dev
case ${2:-} in
  stores | bench)
    name=$2 extras=dev,$2
    shift
    ;;
esac
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
"$venv/bin/pip" install --quiet --upgrade pip uv
# uv, as pip searches for an hour through releases of the object stores that limit each other
# shellcheck disable=SC2086  # empty means: no argument
VIRTUAL_ENV=$venv "$venv/bin/uv" pip install --quiet "apache-airflow==$minor.*" "$here/..[$extras]" $but
"$venv/bin/pip" uninstall --quiet --yes uv
"$venv/bin/pip" check

release=$("$venv/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')
version=$("$venv/bin/python" -c 'import platform; print(platform.python_version())')
{
  echo "# Apache Airflow $release with airflow-provider-kling[$extras]."
  echo "# Frozen on Python $version, $(date -u +%Y-%m-%d), by constraints/update.sh for $name."
  "$venv/bin/pip" freeze --exclude airflow-provider-kling | grep -v ' @ ' | LC_ALL=C sort -f
} >"$here/constraints-$name.txt.new"
mv "$here/constraints-$name.txt.new" "$here/constraints-$name.txt"
