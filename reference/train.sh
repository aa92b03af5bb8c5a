#!/bin/sh
# Trains models/gloss-shapes from nothing, on one core: 42 + 44 + 26 minutes. From the repository's root:
#
#     PYTHON=venv/bin/python reference/train.sh [FOLDER]
set -eu
out=$(realpath -m "${1:-models/gloss-shapes}")
state=${STATE:-/tmp/gloss-shapes.pt}
cd "$(dirname "$0")"
export OMP_NUM_THREADS=1
"${PYTHON:-python3}" -m shapes.train --out "$out" --state "$state" --bf16 --minutes 42 --floor 0.1
"${PYTHON:-python3}" -m shapes.train --out "$out" --state "$state" --bf16 --minutes 44 --resume --seed 100 \
    --mix 0.4 0.35 0.25 --peak 0.6 --floor 0.01
# The model learns last which colour belongs to which of several objects. This run asks for it more often.
"${PYTHON:-python3}" -m shapes.train --out "$out" --state "$state" --bf16 --minutes 26 --resume --seed 300 \
    --images 14000 --mix 0.4 0.4 0.2 --several 6 1 --peak 0.6 --floor 0.01
