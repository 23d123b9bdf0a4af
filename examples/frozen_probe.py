"""The baseline that a trained network has to beat: logistic regression on the features of a frozen ImageNet VGG16.

    python examples/frozen_probe.py RUN --weights vgg16-imagenet-trunk.safetensors [--input-form torchvision|keras] [--size 512x512] [--c 1e-3]

RUN is a folder that examples/cross_validate.sh filled. The images, patients, labels and folds are those of its
report*/scores.csv; each fold is scored by a regression fitted on all the others, and RUN/probe/foldK.csv holds the scores
as `evaluate` writes them, for `auc RUN/report*/scores.csv --against RUN/probe/fold*.csv`. Features are mean and maximum
of the last map over its places (1024 numbers an image), kept in RUN/probe/features-<size>.npz. --input-form is needed where
the file does not say it (holon.input), as for the trainers.
Needs numpy, pillow, scikit-learn, safetensors, torch and torchvision.
"""

import argparse
import csv
import hashlib
import sys
from pathlib import Path

import numpy
import torch
import torchvision
from PIL import Image
from safetensors import safe_open
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# What channel k of the input is, of a grey value in 0..255: (grey - mean_k) / deviation_k. As holon/model/input_form.hpp.
FORMS = {
    "torchvision": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "keras": ((103.939, 116.779, 123.68), (1, 1, 1)),
}


def read_folds(run):
    """Rows of every fold's report, by the fold's number."""
    folds = {}
    for path in run.glob("report*/scores.csv"):
        with open(path, newline="") as file:
            folds[int(path.parent.name.removeprefix("report"))] = list(csv.DictReader(file))
    if len(folds) < 2:
        sys.exit(f"{run}: two folds or more are needed, there are {len(folds)} report*/scores.csv")
    return dict(sorted(folds.items()))


def read_trunk(path, form):
    """VGG16's features and the input form that they expect; of a whole network's file, the features alone."""
    with safe_open(path, "pt") as file:
        stated = (file.metadata() or {}).get("holon.input")
        names = [name for name in file.keys() if name.startswith("features.")]
        values = {name.removeprefix("features."): file.get_tensor(name) for name in names}
    if stated and form and stated != form:
        sys.exit(f"{path} was made for the input form {stated}, --input-form says {form}; leave the option out")
    if (stated or form) not in FORMS:
        sys.exit(f"{path} says {stated or 'no input form'}; give --input-form {' or '.join(FORMS)}")
    trunk = torchvision.models.vgg16().features
    trunk.load_state_dict(values)
    return trunk.eval().to(memory_format=torch.channels_last), stated or form


def features_of(images, trunk, form, rows, columns):
    mean, deviation = (torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in FORMS[form])
    found = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for i, path in enumerate(images):
            grey = Image.open(path).convert("L").resize((columns, rows), Image.Resampling.BOX)
            x = torch.from_numpy(numpy.asarray(grey, dtype=numpy.float32))[None, None].expand(1, 3, -1, -1)
            x = (x - mean) / deviation
            y = trunk(x.contiguous(memory_format=torch.channels_last)).float()[0]
            found.append(torch.cat([y.mean((1, 2)), y.amax((1, 2))]).numpy())
            if i % 100 == 99:
                print(f"features of {i + 1} images of {len(images)}", file=sys.stderr)
    return numpy.stack(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--input-form", choices=FORMS)
    parser.add_argument("--size", default="512x512", help="rows x columns")
    parser.add_argument("--c", type=float, default=1e-3, help="inverse strength of the regression's L2 penalty")
    options = parser.parse_args()
    rows, columns = map(int, options.size.split("x"))
    folds = read_folds(options.run)
    images = sorted(row["image"] for fold in folds.values() for row in fold)
    out = options.run / "probe"
    out.mkdir(exist_ok=True)
    kept = out / f"features-{rows}x{columns}.npz"
    trunk, form = read_trunk(options.weights, options.input_form)
    of = [form, hashlib.sha256(Path(options.weights).read_bytes()).hexdigest(), *images]  # what the kept features are of
    if not (kept.exists() and list(numpy.load(kept)["of"]) == of):
        numpy.savez(kept, of=of, features=features_of(images, trunk, form, rows, columns))
    place = {image: i for i, image in enumerate(images)}
    features = numpy.load(kept)["features"]

    labels, scores = [], []
    for k, held in folds.items():
        fit = [row for j, fold in folds.items() if j != k for row in fold]
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=options.c, max_iter=3000, class_weight="balanced")
        )
        model.fit(features[[place[row["image"]] for row in fit]], [int(row["label"]) for row in fit])
        score = model.decision_function(features[[place[row["image"]] for row in held]])
        label = [int(row["label"]) for row in held]
        with open(out / f"fold{k}.csv", "w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["image", "patient", "label", "score"])
            table.writerows(
                [row["image"], row["patient"], row["label"], f"{s:.9g}"] for row, s in zip(held, score)
            )
        print(f"fold {k}: AUC {roc_auc_score(label, score):.4f} n={len(label)}")
        labels += label
        scores += score.tolist()
    print(f"all folds: AUC {roc_auc_score(labels, scores):.4f} n={len(labels)}")


main()
