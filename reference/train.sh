#!/bin/sh
# Trains models/gloss-shapes and its mask decoder from nothing, on one core: 4 + 42 + 44 + 26 + 60 minutes. From the
# repository's root:
#
#     PYTHON=venv/bin/python reference/train.sh [FOLDER]
set -eu
out=$(realpath -m "${1:-models/gloss-shapes}")
state=${STATE:-/tmp/gloss-shapes.pt}
encoder=${ENCODER:-/tmp/gloss-shapes-masks.pt}
cd "$(dirname "$0")"
mkdir -p "$out"
export OMP_NUM_THREADS=1
"${PYTHON:-python3}" -m shapes.masks --out "$out/mask-decoder.safetensors" --encoder "$encoder" --minutes 4
train() { "${PYTHON:-python3}" -m shapes.train --out "$out" --state "$state" --encoder "$encoder" "$@"; }
train --minutes 42 --floor 0.1
train --minutes 44 --resume --seed 100 --mix 0.4 0.35 0.25 --peak 0.6 --floor 0.01
# The model learns last which colour belongs to which of several objects. This run asks for it more often.
train --minutes 26 --resume --seed 300 --images 14000 --mix 0.4 0.4 0.2 --several 6 1 --peak 0.6 --floor 0.01
# A quarter of the scenes is hard to see, so that the model knows when it does not know.
train --minutes 60 --resume --seed 700 --images 14000 --mix 0.45 0.35 0.2 --several 3 1 --hard 0.25 --peak 0.6 --floor 0.01
