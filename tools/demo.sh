#!/usr/bin/env bash
# The whole pipeline on two CPU cores in about ten minutes: make videos, train a DSTA detector on them, score it on
# people not seen in training, and detect the micro-actions in two of their videos.
#     tools/demo.sh [OUT] [--smoke]     OUT is "demo"; --smoke runs everything on a handful of videos, as a quick check
set -euo pipefail
here="$PWD"
cd "$(dirname "$0")/.."
started=$SECONDS
bash tools/setup.sh
source tools/programs.sh
mmad="$programs/mmad"
cd "$here"
out="${1:-demo}"
train=280 val=70 test=10 smoke=()
[ "${2:-}" = "--smoke" ] && train=4 val=2 test=2 smoke=(--smoke)

# 20 of the 52 actions, from all seven body parts, that are distinguishable in an image of 96 x 96 pixels.
classes="A1,A5,B1,B2,B3,B4,B5,C4,C5,C7,C1,D3,D6,D8,D4,E5,F3,F1,G2,G4"
"$mmad" synthesize "$out/data" --train $train --val $val --test $test --classes "$classes" \
    --class-weights uniform --fps 15 --width 96 --height 96 --workers 2
"$mmad" data stats "$out/data/annotations/mma52.json" --subjects "$out/data/subjects.csv"

rm -rf "$out/run"
# Only the tokens that move are computed (docs/moving.md), in two thirds of the time.
"$mmad" train configs/demo.yaml data.annotations="$out/data/annotations/mma52.json" \
    data.videos="$out/data/videos" "backbone.tokens={keep: moving, threshold: 3}" \
    --out "$out/run" ${smoke[@]+"${smoke[@]}"}
"$mmad" eval --runs "$out/run" --tiou 0.1:0.9

"$mmad" detect "$out/data/videos/test0000.mp4" "$out/data/videos/test0001.mp4" --checkpoint "$out/run" \
    --annotations "$out/data/annotations/mma52.json" --min-score 0.2 --out "$out/detections"

echo
echo "Done in $((SECONDS - started)) s. Made:"
for file in "$out"/data/annotations/mma52.json "$out"/run/{best.safetensors,log.jsonl,curves.png} \
    "$out"/run/predictions/val.csv "$out"/detections/{detections.csv,test0000.png,test0000.eaf}; do
    [ -e "$file" ] && echo "  $file"
done
