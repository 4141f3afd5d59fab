#!/usr/bin/env bash
# All that only a CUDA device can tell, most important first, each with a limit of seconds: the card's tests, a step, a
# whole training, loading, every method. What is cut short leaves what it had.
#
#     bash benchmarks/card.sh results                              # some nine minutes
#     SIZE=tiny LIMIT=60 bash benchmarks/card.sh results           # a try of the script itself, also without a card
#
# PYTHON says which interpreter; the package need not be installed there, but what it needs must be.
set -u
out=${1:?a folder for the results}
python=${PYTHON:-python3} size=${SIZE:-paper}
cd "$(dirname "$0")/.."
mkdir -p "$out"
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
if [ "$size" = paper ]; then few=6 many=48 scans=16 patients=64 steps=90 first=40 workers=14 sizes=full
else few=1 many=2 scans=2 patients=4 steps=4 first=2 workers=1 sizes=tiny; fi

# An interrupt, so that pytest still says what has failed.
within() { local name=$1 limit=$2; shift 2; timeout -s INT -k 10 "${LIMIT:-$limit}" "$@" >"$out/$name.txt" 2>&1; echo "$name: $?"; }

# One process and the quick tests first: after an error of the device all that follow in its process fail.
within tests 150 "$python" -m pytest -v --tb=short -m cuda -p no:cacheprovider \
  tests/objectives/test_waits.py tests/objectives/test_cuda.py tests/engine tests/tasks/test_cuda.py
grep -E "^(FAILED|ERROR)|^=+ .* in " "$out/tests.txt"
within gpu 100 "$python" benchmarks/gpu.py --size "$size" --recipes "simcrop-$size" --batches "$few,$many" --repeats 5 \
  --ways compiled,compiled-graphed --sections ceilings,agreement,sweep --json "$out/gpu.json"
within train 190 "$python" benchmarks/train.py --size "$size" --patients $patients --steps $steps --first $first \
  --workers $workers --codecs raw,lz4 --json "$out/train.json"
within load 60 "$python" benchmarks/load.py --size "$sizes" --repeats 3 --workers 1,4,8,15 --json "$out/load.json"
within methods 140 "$python" benchmarks/methods.py --size "$size" --scans $scans --repeats 3 --json "$out/methods.json"
