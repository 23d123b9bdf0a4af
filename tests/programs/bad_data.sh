#!/usr/bin/env bash
# Every kind of bad input that a user of the programs can have, one named check each: exit code 2 and a sentence that tells
# the file, the place and what to do; what can be used is converted by a stated rule. $1: the programs' folder.
set -u
programs=$1
work=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$work"' EXIT
failures=0
export OMP_NUM_THREADS=1  # networks this small gain nothing from more
. "$(dirname "$0")/refused.sh"

"$programs/phantom" --out "$work/ph" --size 128x96 --train 8 --validation 4 --test 4 > /dev/null || exit 1
data=phantom:$work/ph
patches=("$programs/train_patch" --network resnet14 --size 128x96 --patch 32 --per-lesion 2 --batch 8 --epochs 1)
whole=("$programs/train_whole" --size 128x128 --top 8x1,4x1 --batch 4 --epochs 1,1)
"${patches[@]}" --data "$data" --out "$work/p" > /dev/null 2>&1 || { echo "FAILED: the run that must work did not"; exit 1; }
"${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$work/w" > /dev/null 2>&1 || { echo "FAILED: the whole-image run did not work"; exit 1; }
net=$work/w/best.safetensors

# --- pictures. Two good images, and one in place of $picture; the set is tested whole.
header=image,patient,label,split,class,x0,y0,x1,y1,mask
picture=$work/picture
cp "$work/ph/images/P1_CC.png" "$work/one.png"
cp "$work/ph/images/P0_CC.png" "$work/two.png"
printf '%s\none.png,A,1,test,,,,,,\ntwo.png,B,0,test,,,,,,\npicture,C,0,test,,,,,,\n' "$header" > "$work/three.csv"
runs=0  # each evaluation has a folder of its own: one folder holds one set's splits
evaluate_of() { "$programs/evaluate" --data "manifest:$work/$1" "$net" --out "$work/e$((++runs))" "${@:2}"; }

head -c 3000 "$work/one.png" > "$picture"
refused "truncated PNG" "picture: PNG cut off" evaluate_of three.csv
jpeg=/9j/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wAALCAAIAAgBAREA/8QAFQABAQAAAAAAAAAAAAAAAAAAAAr/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oACAEBAAA/AD//2Q==
echo "$jpeg" | base64 -d > "$picture"
accepted "a JPEG of 8x8 pixels" "^AUC .* n=3 positive=1$" evaluate_of three.csv
echo "$jpeg" | base64 -d | head -c 120 > "$picture"
refused "truncated JPEG" "picture: JPEG cut off" evaluate_of three.csv
: > "$picture"
refused "a file of 0 bytes" "picture: is empty" evaluate_of three.csv
echo "this is no picture" > "$picture"
refused "text as an image" 'picture: no PNG, JPEG or binary PGM; it looks like text: "this is no picture"' evaluate_of three.csv
echo iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAMAAACdt4HsAAAABlBMVEUoKCjIyMjTjw28AAAANUlEQVR42u3WIQoAAAgEQf3/p+2CwSjOVmHCJSNa2dreAQDAXcBoAABgyiYAgP/AaADAe6AAFA8IAWI3o6YAAAAASUVORK5CYII= | base64 -d > "$picture"
accepted "a palette of greys is converted" "^AUC " evaluate_of three.csv
echo iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAMAAACdt4HsAAAABlBMVEUoKCjIAMjQrFD6AAAANUlEQVR42u3WIQoAAAgEQf3/p+2CwSjOVmHCJSNa2dreAQDAXcBoAABgyiYAgP/AaADAe6AAFA8IAWI3o6YAAAAASUVORK5CYII= | base64 -d > "$picture"
refused "a palette with colours" "picture: in colour: the pixel at row 0, column 16" evaluate_of three.csv
echo iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAYElEQVR42u3ZwQkAMAgDQMdx/yk6ljNEKBR6GSB4z2B1mBPmdn8BAAAAAAAAAAAAAKwBrx2U9gMAAAAAAAAAAAAA7AEWGQAAAAAAAAAAAID/gEUGAAAAAAAAAAAA8B1gAABQgUukUIWHAAAAAElFTkSuQmCC | base64 -d > "$picture"
accepted "RGB with equal channels is converted" "^AUC " evaluate_of three.csv
echo iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAATklEQVR42u3PMQ0AAAgDsN3zLwpZSOAmaVIDzbSvRUBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEDgsoHZwMQUbi3RAAAAAElFTkSuQmCC | base64 -d > "$picture"
refused "RGB in colour" "picture: in colour: the pixel at row 0, column 0" evaluate_of three.csv
echo iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAQAAAAAYLlVAAAAPElEQVR42u3OQREAAAwCIHMuzaIbww9HAXK/FQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAYF1oNBxoMTNO8VfAAAAAElFTkSuQmCC | base64 -d > "$picture"
refused "a transparent PNG" "picture: not opaque: .* has the alpha" evaluate_of three.csv
cp "$work/two.png" "$picture"
refused "an image smaller than the network's minimum" "larger" evaluate_of three.csv --size 32x32
accepted "odd sizes" "^AUC " evaluate_of three.csv --size 131x117
rm "$picture"
refused "an image that is not there" "three.csv line 4: there is no file .*picture" evaluate_of three.csv
mkdir "$picture"
refused "a folder as an image" "there is no file" evaluate_of three.csv
rmdir "$picture"

# --- manifests.
manifest() {  # FILE ROW...
    local file=$1
    shift
    { echo "$header"; printf '%s\n' "$@"; } > "$work/$file"
}
echo image,patient,label,split,class,x0,y0,x1,y1 > "$work/m.csv"
refused "a missing column" "m.csv: no column 'mask'; there are: image" evaluate_of m.csv
sed 's/,/;/g' "$work/three.csv" > "$work/m.csv"
refused "semicolons" "commas, not semicolons" evaluate_of m.csv
printf '\xef\xbb\xbf%s\r\none.png,A,1,test,,,,,,\r\n"two.png",B,0,test,,,,,,\r\n' "$header" > "$work/m.csv"
accepted "CRLF and a byte order mark" "^AUC .* n=2 positive=1$" evaluate_of m.csv
manifest m.csv one.png,A,1,test,,,,,, two.png,B,cancer,test,,,,,,
refused "an unknown label" "m.csv line 3: label 'cancer'; 0, 1" evaluate_of m.csv
manifest m.csv one.png,A,1,test,tumour,1,1,5,5,
refused "an unknown class" "m.csv line 2: class 'tumour'; benign_calcification" evaluate_of m.csv
manifest m.csv one.png,A,1,test,malignant_mass,90,10,97,20,
refused "a lesion outside of the image" "m.csv line 2: .*90,10,97,20.*outside the image.*96x128" evaluate_of m.csv
manifest m.csv one.png,A,1,train,,,,,, two.png,A,0,test,,,,,,
refused "a patient in two splits" "m.csv line 3: patient A is in the split 'test', on line 2 in 'train'; a patient must not be in two" evaluate_of m.csv
manifest m.csv one.png,A,1,test,,,,,, two.png,B,0,,,,,,,
refused "a split for some images only" "two.png has no split and others have one" evaluate_of m.csv
manifest m.csv one.png,A,1,test,,,,,, two.png,B,1,test,,,,,,
refused "one class only" "2 images, 2 malignant; an AUC needs both classes" evaluate_of m.csv
if grep -q '^AUC' "$work/out"; then failed "one class only: a line AUC all the same"; fi
refused "a split without images" "no validation images" evaluate_of m.csv --split validation
printf '%s\n' "$header" > "$work/m.csv"
refused "a manifest without rows" "no images" evaluate_of m.csv
refused "a folder as a manifest" "is a directory" evaluate_of ph
refused "a manifest that is not there" "No such file" evaluate_of none.csv

# --- patches: a class that the training split lacks is dropped with a notice, and the checkpoint tells which there are.
grep -v ',train,benign_calcification,' "$work/ph/manifest.csv" > "$work/ph/four.csv"
accepted "a class that training lacks" "note: the training split has no benign_calcification; the class is dropped from the head" \
    "${patches[@]}" --data "manifest:$work/ph/four.csv" --out "$work/p4"
grep -qE "^note: .*left out" "$work/out" || failed "a class that training lacks: its patches elsewhere are not mentioned"
grep -aq '"holon.classes":"background,malignant_calcification,benign_mass,malignant_mass"' "$work/p4/best.safetensors" ||
    failed "a class that training lacks: the checkpoint does not record the classes"
refused "shapes that do not match" "fc.weight has shape \[5, 1024\], the network's is \[4, 1024\]" \
    bash -c "cp '$work/p/last.safetensors' '$work/p4/last.safetensors' && exec \"\$0\" \"\$@\"" "${patches[@]}" --data "manifest:$work/ph/four.csv" --out "$work/p4" --resume
{ head -n 1 "$work/ph/manifest.csv"; grep -E ',(train|validation),malignant_mass,' "$work/ph/manifest.csv" |
    awk -F, -v OFS=, '{ $6 = 0; $7 = 0; $8 = 96; $9 = 128; $10 = ""; print }'; } > "$work/ph/large.csv"
refused "a breast too small for a background patch" "no background patch could be placed" "${patches[@]}" --data "manifest:$work/ph/large.csv" --out "$work/x1" --min-breast 0.5
refused "more breast than there is" "no background patch could be placed.*--min-breast" "${patches[@]}" --data "$data" --out "$work/x2" --patch 96 --min-breast 1
grep -E '^image,|,normal,' "$work/ph/manifest.csv" > "$work/ph/normal.csv"
refused "no lesion anywhere" "background only; lesions with boxes or masks are needed" "${patches[@]}" --data "manifest:$work/ph/normal.csv" --out "$work/x3"

# --- checkpoints.
head -c 5000 "$net" > "$work/cut.safetensors"
refused "truncated safetensors" "cut.safetensors" "$programs/evaluate" --data "$data" "$work/cut.safetensors" --out "$work/c"
cp "$net" "$work/damaged.safetensors"
printf '\xff' | dd of="$work/damaged.safetensors" bs=1 seek=500000 conv=notrunc 2> /dev/null
refused "damaged safetensors" "damaged.safetensors" "$programs/evaluate" --data "$data" "$work/damaged.safetensors" --out "$work/c"
refused "text as safetensors" "no safetensors file" "$programs/evaluate" --data "$data" "$work/three.csv" --out "$work/c"
foreign='{"encoder.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   '
{ printf "\\x$(printf %x ${#foreign})\\0\\0\\0\\0\\0\\0\\0"; printf '%s\0\0\0\0' "$foreign"; } > "$work/foreign.safetensors"
refused "names that do not match" "does not fit the network: missing conv1.weight, .*unknown encoder.weight" \
    "${patches[@]}" --data "$data" --out "$work/x4" --weights "$work/foreign.safetensors" --input-form paper --epochs 1,1,1
refused "weights that do not tell their input form" "holon.input.*--input-form torchvision, keras, paper" \
    "${patches[@]}" --data "$data" --out "$work/x4" --weights "$work/foreign.safetensors" --epochs 1,1,1
refused "a whole-image checkpoint for a heatmap" "holds a whole classifier, a patch" "$programs/heatmap" "$net" "$work/one.png" --out "$work/h"
refused "nothing to resume" "there is no .*last.safetensors to go on from" "${patches[@]}" --data "$data" --out "$work/x5" --resume
refused "resumed with other options" "holon.training = .*clip 0; .* this run has clip 1" "${patches[@]}" --data "$data" --out "$work/p" --resume --clip 1

# --- a loss that is not finite: named, and the last checkpoint of the good stage still there, whole.
refused "a loss that is not finite" "conv1.*finite|finite.*conv1" "${patches[@]}" --data "$data" --out "$work/nan" --weights "$work/p/best.safetensors" \
    --epochs 1,1,1 --rates 1e-3,1e37,1e-3
"$programs/heatmap" "$work/nan/best.safetensors" "$work/one.png" --out "$work/h" > /dev/null || failed "a loss that is not finite: best.safetensors is gone"
grep -aq '"holon.epoch":"[12]"' "$work/nan/last.safetensors" || failed "a loss that is not finite: last.safetensors is gone"

# --- options.
for wrong in "--batch 0" "--batch -1" "--epochs 1.5" "--epochs 0" "--rates inf" "--clip -1" "--train-share 0" "--train-share 1.5" "--seed -1" "--workers 0" "--patch 33" "--size 31x96" \
    "--precision fp64" "--network resnet51" "--input-form bgr" "--bn-mode thawed" "--dropout 1" "--nonsense"; do
    # shellcheck disable=SC2086  # an option and its value
    name=${wrong%% *}
    refused "option $wrong" "${name//-/[- ]?}" "${patches[@]}" --data "$data" --out "$work/x6" $wrong
done
for wrong in "--seed -1" "--seed 1.5" "--test many" "--size 31x96"; do
    # shellcheck disable=SC2086
    name=${wrong%% *}
    refused "phantom $wrong" "${name//-/[- ]?}" "$programs/phantom" --out "$work/x7" $wrong
done
refused "batch larger than the set" "--batch 5000 is larger than the" "${patches[@]}" --data "$data" --out "$work/x6" --batch 5000
refused "a batch of images larger than the set" "--batch 50 is larger than the 16 training images" "${whole[@]}" --data "$data" --out "$work/x6" --batch 50 --epochs 1
for program in phantom train_patch train_whole evaluate heatmap auc plan; do
    accepted "$program --help" "--version" "$programs/$program" --help
    accepted "$program --version" "^holon [0-9]+\.[0-9]+\.[0-9]+$" "$programs/$program" --version
done

# --- names that need quoting, and names that several images share.
mkdir -p "$work/a, b/left" "$work/a, b/right"
cp "$work/one.png" "$work/a, b/left/cc.png"
cp "$work/two.png" "$work/a, b/right/cc.png"
manifest m.csv '"a, b/left/cc.png","P ""1""",1,test,,,,,,' '"a, b/right/cc.png",P2,0,test,,,,,,'
accepted "quotes and commas in names" "^AUC .* n=2 positive=1$" evaluate_of m.csv
accepted "scores with such names" "^AUC .* n=2 positive=1$" "$programs/auc" "$work/e$runs/scores.csv"
accepted "heatmaps of images of one name" "heatmap_cc_2.png" "$programs/heatmap" "$work/p/best.safetensors" "$work/a, b/left/cc.png" "$work/a, b/right/cc.png" --out "$work/h2" --batch 2
[ -s "$work/h2/heatmap_cc.png" ] && [ -s "$work/h2/heatmap_cc_2.png" ] || failed "heatmaps of images of one name: one is missing"

# --- an average of networks that were trained on other patients than those tested.
awk -F, -v OFS=, 'NR > 1 { $4 = "" } { print }' "$work/ph/manifest.csv" > "$work/ph/free.csv"
for seed in 1 2; do
    "${whole[@]}" --network resnet14 --epochs 1 --data "manifest:$work/ph/free.csv" --seed $seed --out "$work/s$seed" > /dev/null 2>&1 || failed "training without stated splits"
done
accepted "an average of one network twice" "^AUC .* n=[0-9]+ positive=[0-9]+$" "$programs/evaluate" --data "manifest:$work/ph/free.csv" "$work/s1/best.safetensors" "$work/s1/best.safetensors" --tta --out "$work/mean1"
refused "an average over networks of other splits" "was in train for this network and is in test now|was in validation for this network and is in test now" \
    "$programs/evaluate" --data "manifest:$work/ph/free.csv" "$work/s1/best.safetensors" "$work/s2/best.safetensors" --out "$work/mean2"

# --- folds of patients, and weights that were trained on others.
from_s1=("${whole[@]}" --weights "$work/s1/best.safetensors" --seed 1)
refused "a fold that contradicts the weights' splits" "splits.csv, which goes with the weights, has patient .* leave --fold out" \
    "${from_s1[@]}" --data "manifest:$work/ph/free.csv" --fold 1/2 --out "$work/f1"
awk -F, -v OFS=, 'NR > 1 { $2 = "other" $2 } { print }' "$work/ph/free.csv" > "$work/ph/others.csv"
accepted "folds of patients that the weights never saw" "splits .fold 1 of 2." "${from_s1[@]}" --data "manifest:$work/ph/others.csv" --fold 1/2 --out "$work/f2"
accepted "half of the training patients" "note: of [0-9]+ training images [0-9]+ are left .--train-share 0.5." "${from_s1[@]}" --data "manifest:$work/ph/free.csv" --train-share 0.5 --out "$work/f4"
"${from_s1[@]}" --top none --data "manifest:$work/ph/free.csv" --out "$work/bare" > /dev/null 2>&1 || failed "a whole-image classifier without a top"
accepted "a whole-image classifier to go on from" "with this top; training goes on from all of it, head and all" "${whole[@]}" --top none \
    --weights "$work/bare/best.safetensors" --data "manifest:$work/ph/free.csv" --bn-mode frozen --epochs 1,0 --rates 1e-30,1e-30 --out "$work/f5"
for s in bare f5; do "$programs/evaluate" --data "manifest:$work/ph/free.csv" "$work/$s/best.safetensors" --out "$work/e_$s" > /dev/null 2>&1; done
cmp "$work/e_bare/scores.csv" "$work/e_f5/scores.csv" || failed "a whole-image classifier to go on from: it scores otherwise though nothing was learned"
accepted "a whole-image classifier of another top" "with the top 8x1,4x1, not 4x1; only its trunk is taken" "${from_s1[@]}" --top 4x1 \
    --data "manifest:$work/ph/free.csv" --out "$work/f6"
refused "other data without folds" "is for other data.* --fold or --splits" "${from_s1[@]}" --data "manifest:$work/ph/others.csv" --out "$work/f3"

# --- output that cannot be written, not by permissions alone: root may write anywhere else.
long=$work/$(printf 'n%.0s' $(seq 300))
for out in "$work/one.png" "$work/one.png/below" /proc/holon "$long"; do
    name="output to $(basename "$(dirname "$out")")/$(basename "$out" | head -c 20)"
    refused "train_patch: $name" "--out" "${patches[@]}" --data "$data" --out "$out"
    refused "train_whole: $name" "--out" "${whole[@]}" --data "$data" --weights "$work/p/best.safetensors" --out "$out"
    refused "evaluate: $name" "--out" "$programs/evaluate" --data "$data" "$net" --out "$out"
    refused "heatmap: $name" "--out" "$programs/heatmap" "$work/p/best.safetensors" "$work/one.png" --out "$out"
    refused "phantom: $name" "--out" "$programs/phantom" --size 128x96 --out "$out"
done

# --- a full disk: a file system of its own, by mounting as root or in a namespace of this user's own.
mkdir "$work/small"
full_disk() {  # within the file system: the first checkpoint fits, the second does not
    refused "a full disk" "No space left on device.*it needs [0-9]+ bytes and [0-9]+ are free" "${patches[@]}" --data "$data" --out "$work/small/out"
    "$programs/heatmap" "$work/small/out/best.safetensors" "$work/one.png" --out "$work/h3" > /dev/null || failed "a full disk: the checkpoint before is not whole"
    [ "$(ls -A "$work/small/out" | grep -c tmp)" = 0 ] || failed "a full disk: leavings of the failed save: $(ls -A "$work/small/out")"
}
if mount -t tmpfs -o size=16m tmpfs "$work/small" 2> /dev/null; then
    mounted=$work/small
    full_disk
elif unshare -Urm true 2> /dev/null; then
    export -f full_disk refused failed
    export programs work data
    # shellcheck disable=SC2016  # for the shell within
    unshare -Urm bash -c 'failures=0 patches=("$0" "$@"); mount -t tmpfs -o size=16m tmpfs "$work/small" || exit 3; full_disk; exit $failures' \
        "${patches[@]}" || failed "a full disk, in a namespace of this user's own"
else
    echo "SKIPPED a full disk: neither mount nor unshare is allowed here; a limit on file size stands in (bad_input.sh)"
fi

[ $failures -eq 0 ] || { echo "$failures failed"; exit 1; }
