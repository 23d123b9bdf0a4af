"""The baseline that a trained network has to beat: logistic regression on the features of a frozen ImageNet VGG16.

    python examples/frozen_probe.py RUN --weights vgg16-imagenet-trunk.safetensors [--size 512x512] [--c 1e-3]

RUN is a folder that examples/cross_validate.sh filled. The images, patients, labels and folds are those of its
report*/scores.csv; each fold is scored by a regression fitted on all the others, and RUN/probe/foldK.csv holds the scores
as `evaluate` writes them, for `auc RUN/report*/scores.csv --against RUN/probe/fold*.csv`. Features are mean and maximum
of the last map over its places (1024 numbers an image), kept in RUN/probe/features-<size>.npz.
Needs numpy, pillow, scikit-learn, safetensors, torch and torchvision.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BGR_MEAN = (103.939, 116.779, 123.68)  # of the images that the weights learned from


def read_folds(run):
    """Rows of every fold's report, by the fold's number."""
    folds = {}
    for path in run.glob("report*/scores.csv"):
        with open(path, newline="") as file:
            folds[int(path.parent.name.removeprefix("report"))] = list(csv.DictReader(file))
    if len(folds) < 2:
        sys.exit(f"{run}: two folds or more are needed, there are {len(folds)} report*/scores.csv")
    return dict(sorted(folds.items()))


def features_of(images, weights, rows, columns):
    trunk = torchvision.models.vgg16().features
    trunk.load_state_dict({name.removeprefix("features."): value for name, value in load_file(weights).items()})
    trunk.eval().to(memory_format=torch.channels_last)
    mean = torch.tensor(BGR_MEAN).view(1, 3, 1, 1)
    found = []
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for i, path in enumerate(images):
            grey = Image.open(path).convert("L").resize((columns, rows), Image.Resampling.BOX)
            x = torch.from_numpy(numpy.asarray(grey, dtype=numpy.float32))[None, None].expand(1, 3, -1, -1) - mean
            y = trunk(x.contiguous(memory_format=torch.channels_last)).float()[0]
            found.append(torch.cat([y.mean((1, 2)), y.amax((1, 2))]).numpy())
            if i % 100 == 99:
                print(f"features of {i + 1} images of {len(images)}", file=sys.stderr)
    return numpy.stack(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--size", default="512x512", help="rows x columns")
    parser.add_argument("--c", type=float, default=1e-3, help="inverse strength of the regression's L2 penalty")
    options = parser.parse_args()
    rows, columns = map(int, options.size.split("x"))
    folds = read_folds(options.run)
    images = sorted(row["image"] for fold in folds.values() for row in fold)
    out = options.run / "probe"
    out.mkdir(exist_ok=True)
    kept = out / f"features-{rows}x{columns}.npz"
    if not (kept.exists() and list(numpy.load(kept)["images"]) == images):
        numpy.savez(kept, images=images, features=features_of(images, options.weights, rows, columns))
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
