#!/bin/sh
# Prediction of a volume by voco and by PyTorch with MONAI, the same weights and settings:
# seconds, memory, and how well the label maps agree.
#
#   compare-predict.sh VOLUME [FEATURE [CLASSES [ROI [OVERLAP]]]]
#
# VOLUME is NIfTI.  Run it in the build folder, after `make voco tests/make_segweights`.  PYTHON names an
# interpreter that has torch, monai, safetensors and nibabel, BATCH the windows that it runs
# at once (4).
set -e
volume=$1 feature=${2-48} classes=${3-14} roi=${4-96} overlap=${5-0.5}
here=$(dirname "$0")
case $volume in
*.nii | *.nii.gz) ;;
*) echo "compare-predict.sh: $volume: the half in MONAI reads NIfTI (.nii, .nii.gz) only" >&2
   exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/make_segweights "$work/w.safetensors" "$feature" 1 "$classes" "$roi" abdomen 3
start=$(date +%s.%N)
/usr/bin/env time -f '%M' -o "$work/rss" ./voco predict -w "$work/w.safetensors" \
    --overlap "$overlap" -o "$work" "$volume"
end=$(date +%s.%N)
awk -v a="$start" -v b="$end" -v kib="$(tail -1 "$work/rss")" \
    'BEGIN { printf "voco: %.1f s in all, %.0f MiB at the peak\n", b - a, kib / 1024 }'
labels=$(ls "$work"/*.nii.gz)
"${PYTHON-python3}" "$here/peer/predict.py" "$work/w.safetensors" "$volume" \
    "$work/peer.nii.gz" --roi "$roi" --overlap "$overlap" --labels "$labels" \
    ${OMP_NUM_THREADS:+--threads "$OMP_NUM_THREADS"} ${BATCH:+--batch "$BATCH"}
