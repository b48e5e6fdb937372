#!/usr/bin/env bash
# The wheel in a bare environment, outside the checkout: the demo runs and the front end answers.
# usage: try_wheel.sh WHEEL CONSTRAINTS PYTHON
# CAPACITY_DEMO names a folder that the demo is written to, what it prints beside it as .txt: tests/pipeline/test_demo.py
# reads them instead of making the demo again. Without it both are gone at the end.
set -euo pipefail
wheel=$(realpath "$1") constraints=$(realpath "$2") python=$3
bare=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$bare"' EXIT
"$python" -m venv "$bare/venv"
"$bare/venv/bin/python" -m pip --disable-pip-version-check -q install -c "$constraints" "$wheel"
cd "$bare"
plan=${CAPACITY_DEMO:-$bare/plan}
COLUMNS=120 "$bare/venv/bin/capacity" demo --out "$plan" >"$plan.txt"
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
