#!/usr/bin/env bash
# Make the fixtures of this folder again, with a checkout of the commit that README.md names.
#
#   PYTHONPATH=CHECKOUT PYTHON=python bash make_fixtures.sh OUT
#
# In CHECKOUT, vad_cli and vad_manifests are links to cli and manifests. VAD_HOME names a scratch
# folder for the random weights. OUT must not exist. Every command runs inside OUT with relative
# paths, so that no file names a folder of this machine; the last lines check that.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
: "${VAD_HOME:?names a scratch folder for weights}"
export OMP_NUM_THREADS=1

call='from vad_cli.main import main; main()'
vad() { "$python" -c "$call" "$@"; }

mkdir "$1"
cd "$1"
"$python" "$here/make_inputs.py" .

# 1. Videos, manifests, features.
vad weights get i3d-rgb-random
vad manifest build csv videos.csv --root videos --out manifests --count --name tiny-shapes
extract=(extract --manifest manifests/train.jsonl --manifest manifests/test.jsonl --root videos
    --recipe i3d-rgb-center --set weights=i3d-rgb-random --set resize=64 --set crop_size=64
    --set resize_method=bilinear-pillow
    --license CC0-1.0 --device cpu)
vad "${extract[@]}" --out features.h5

# 2. The same extraction, killed as soon as a video is finished.
mkdir unfinished
"$python" -c "$call" "${extract[@]}" --out unfinished/features.h5 &
process=$!
until [ "$(find unfinished -path '*.parts/*' -name '*.h5' | wc -l)" -ge 1 ]; do sleep 0.01; done
kill -KILL "$process"
wait "$process" || true
find unfinished -name '*.tmp-*' -delete

# 3. Imported features: two packs, merged to one.
for side in train test; do
    vad pack import "imported/$side" --layout rtfm --manifest "imported/$side.jsonl" \
        --features "made up: a seeded formula" --license CC0-1.0 --out "$side.h5"
done
vad pack merge train.h5 test.h5 --out imported.h5
rm -r train.h5 test.h5 imported/train imported/test

# 4. Runs: every method on imported features, one on those of the videos.
train() {
    vad train --pack imported.h5 --manifest imported/train.jsonl --device cpu --threads 1 \
        --set pairs=3 --set data.segments=6 --set tensorboard=false "$@"
}
tiny=(--set steps=40 --set validation.every=10)
small_head=(--set head.width=4 --set head.activate_hidden=2 --set head.stream_width=3
    --set head.nodes=2 --set head.node_width=3 --set 'head.score_hidden=[4,3]')
train --out runs/clav-como --config clav-como-small --seeds 2 "${tiny[@]}" "${small_head[@]}" \
    --set optimiser.learning_rate=0.03
train --out runs/sultani --config sultani --seed 4 --set steps=60 --set validation.every=10 \
    --set 'head.hidden=[6,3]' --set optimiser.learning_rate=0.1
train --out runs/rtfm --config rtfm "${tiny[@]}" --set head.width=4 \
    --set 'head.score_hidden=[6,4]' --set optimiser.learning_rate=0.01
train --out runs/ur-dmu --config ur-dmu "${tiny[@]}" --set head.width=4 --set head.layers=1 \
    --set head.heads=2 --set head.head_width=2 --set head.memory=4 --set head.score_hidden=3 \
    --set optimiser.learning_rate=0.01
train --out runs/mgfn --config mgfn --seed 1 "${tiny[@]}" --set 'head.widths=[3,3,4]' \
    --set 'head.depths=[1,1,1]' --set head.head_width=3 --set optimiser.learning_rate=0.005
vad train --pack features.h5 --manifest manifests/train.jsonl --out runs/videos --config sultani \
    --device cpu --threads 1 --set pairs=2 --set data.segments=3 "${tiny[@]}" \
    --seed 2 --set 'head.hidden=[2,2]' --set head.dropout=0.2 --set optimiser.learning_rate=0.03
rm -r runs/videos/tensorboard  # its files carry the machine's name

# 5. A training with AdamW, a mean of weights and components: finished, and stopped by SIGTERM when
#    its first state was written.
long=(--config context-motion --set steps=120 --set validation.every=20 --set checkpoint_every=30
    --set input.components=6 "${small_head[@]}" --set head.como=false)
train --out finished "${long[@]}"
"$python" -c "$call" train --pack imported.h5 --manifest imported/train.jsonl --device cpu \
    --threads 1 --set pairs=3 --set data.segments=6 --set tensorboard=false \
    --out unfinished/run "${long[@]}" &
process=$!
until [ -e unfinished/run/state.safetensors ]; do sleep 0.01; done
kill -TERM "$process"
wait "$process" || true
test ! -e unfinished/run/result.json

# 6. Evaluations and a prediction.
mkdir evaluations
evaluate() {
    name=$1
    shift
    vad eval "$@" --no-plots --device cpu --out "scores/$name" --json > "evaluations/$name.json"
}
test=(--pack imported.h5 --manifest imported/test.jsonl)
evaluate clav-como runs/clav-como "${test[@]}" --bootstrap 200
evaluate sultani-last runs/sultani --which last "${test[@]}" --bootstrap 0
for method in sultani rtfm ur-dmu mgfn; do
    evaluate "$method" "runs/$method" "${test[@]}" --bootstrap 0
done
evaluate videos runs/videos --pack features.h5 --manifest manifests/test.jsonl --bootstrap 200
evaluate unfinished finished "${test[@]}" --bootstrap 0
cp finished/log.jsonl evaluations/unfinished-log.jsonl
rm -r finished
for run in clav-como/seed-1 rtfm ur-dmu mgfn videos; do
    rm "runs/$run"/last.*  # for size: they differ from best.* in the step alone
done
"$python" "$here/gather_scores.py" scores evaluations/scores.npz
rm -r scores
vad predict runs/videos videos/abnormal/a3.mp4 --out prediction --threshold 0.3 --no-plots \
    --device cpu

# 7. A composed pack.
vad compose --pack imported.h5 --manifest imported/train.jsonl --out composed --clips 2-3 \
    --normal-videos 1 --abnormal-videos 1 --validation-fraction 0

# 8. What `vad` says of the packs and manifests.
mkdir facts
for pack in features imported composed/pack; do
    vad pack info "$pack.h5" --videos --json > "facts/${pack/\//-}.json"
done
for manifest in manifests/train manifests/test imported/train imported/test composed/train; do
    vad manifest info "$manifest.jsonl" --json > "facts/${manifest/\//-}-manifest.json"
done

if grep -rlaE '/(tmp|work|root|home)/' .; then
    echo "these files name folders of this machine" >&2
    exit 1
fi
