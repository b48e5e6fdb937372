#!/usr/bin/env bash
# The wheel of a checkout in a bare environment, outside the checkout: the demo runs and the front end answers.
# usage: try_wheel.sh CHECKOUT PYTHON
# CAPACITY_DEMO names a folder that the demo is written to, what it prints beside it as .txt: tests/pipeline/test_demo.py
# reads them instead of making the demo again, once there is a .done beside it too, which comes at the end, however it
# ends. Without CAPACITY_DEMO all are gone at the end.
set -euo pipefail
checkout=$(realpath "$1") python=$2
bare=$(mktemp -d)
plan=${CAPACITY_DEMO:-$bare/plan}
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; touch "$plan.done" 2>/dev/null || true; rm -rf "$bare"' EXIT
"$python" -m venv "$bare/venv"
pip=("$bare/venv/bin/python" -m pip --disable-pip-version-check -q)
"${pip[@]}" wheel -w "$bare/dist" --no-deps "$checkout"
# Few of the libraries' modules are imported here: those are compiled then, whatever the machine's habit.
export PYTHONDONTWRITEBYTECODE=
"${pip[@]}" install --no-compile -c "$checkout/constraints.txt" "$bare"/dist/*.whl
cd "$bare"
COLUMNS=120 "$bare/venv/bin/capacity" demo --out "$plan" >"$plan.txt"
touch "$plan.done"
head -n 5 "$plan.txt"
"$bare/venv/bin/python" - <<'P'
import capacity, pathlib, sys
here = pathlib.Path(capacity.__file__)
assert pathlib.Path(sys.prefix) in here.parents, here
P
port=$("$bare/venv/bin/python" -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
"$bare/venv/bin/capacity" app --plans "$plan" --port "$port" >app.txt 2>&1 &
server=$!
for _ in $(seq 60); do
  if "$bare/venv/bin/python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/_stcore/health', timeout=2).read()" 2>/dev/null; then
    echo "the front end answers"
    exit 0
  fi
  sleep 0.5
done
cat app.txt
exit 1
