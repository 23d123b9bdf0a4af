"""Compares ResNet50 and VGG16 with PyTorch on the same weights; run by parity.sh.

    parity.py live PROGRAM FOLDER     both now; PROGRAM is parity.cpp's, FOLDER takes the files
    parity.py record FILE             PyTorch's figures in double, for recorded.cpp
    parity.py seeds NETWORK SIZE FIRST LAST    how clear of its kink each seed keeps every ReLU and pool

Weights are of two kinds. `torchvision` are its own random ones. They leave thousands of ReLUs within a rounding of zero,
and each that rounding switches moves gradients by some 1e-3; two float programs can then agree no better than that, nor
can two layouts of one, so such tensors are measured against what PyTorch's own float is off. `lifted` ones come from a
formula that recorded.cpp computes too, and have no such accidents: biases lift activations by 2.75 deviations, so
that few ReLUs cut, and the seed of the images is one for which none is close to its kink."""

import argparse
import copy
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torchvision

CLASSES = 5
BOUND = 1e-4  # of |ours - double| / |double|; or twice what PyTorch's float is off
DOUBLE_BOUND = 1e-8
BATCH = {"resnet50": 2, "vgg16": 1}  # one image halves the pooling windows that could tie
RATE = 1e-5  # at 1e-4 one step of VGG16 from lifted weights learns its image by heart
# By `seeds`. What is recorded has to hold on every processor, so all kinks must be many roundings away: VGG16's pools
# leave no such seed at 224x224, but at 96x96 one keeps 10.
SEED = {("resnet50", 224): 11, ("resnet50", 288): 1, ("vgg16", 96): 5, ("vgg16", 224): 3, ("vgg16", 288): 1}


def philox(key, counters, stream):
    """First word of Philox 4x32-10 (Salmon et al., SC 2011), as in core/random.hpp, for every counter."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    c = [counters & low, counters >> shift, np.uint64(stream), np.uint64(0)]
    k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> shift) ^ c[1] ^ k[0], b & low, (a >> shift) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return c[0]


def fnv1a(name):
    """64-bit FNV-1a: the key of a tensor's numbers."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return key


def words(name, shape, stream=0):
    """24 random bits for each element, in C order."""
    counters = np.arange(math.prod(shape), dtype=np.uint64)
    return (philox(fnv1a(name), counters, stream) >> np.uint64(8)).astype(np.int32).reshape(shape)


def uniform(name, shape, stream=0):
    """In [-1, 1), multiples of 2^-23: exact in float."""
    return (words(name, shape, stream) - 2**23).astype(np.float32) * np.float32(2.0**-23)


def lift_of(name):
    """What is added to a bias so that nearly all activations are above zero, in deviations of the activation."""
    if not name.startswith(("layer", "features.")):
        return 0.0  # fc; and the stem, whose max pool would leave a lifted bias without any gradient
    if ".bn3." not in name and ".downsample." not in name:
        return 2.75
    # What a block adds to the sum that runs past it: the first block's addends share, later ones keep up with its growth.
    return 1.9 if name.split(".")[1] == "0" else 0.75


def formula(name, shape, lifted):
    """The value of a parameter or running statistic: one rounding at most, so that any program gets the same bits.

    Filters sum to zero over their input channels (neighbours' differences), so that a common lift of the channels passes
    none of its bulk on. Their variance keeps that of activations: 1 / fan-in if lifted, more behind a max pool; else 2 /
    fan-in."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) > 1:
        w = words(name, shape)
        pooled = name in ("features.5.weight", "features.10.weight", "features.17.weight", "features.24.weight")
        gain = (1.8 if pooled else 1.0) if lifted else 2.0
        scale = math.sqrt(1.5 * gain / math.prod(shape[1:])) * 2.0**-23
        return (w - np.roll(w, -1, axis=1)).astype(np.float32) * np.float32(scale)
    u = uniform(name, shape) * np.float32(0.25)
    if name.endswith("running_var") or (name.endswith("weight")):
        return u + np.float32(1)
    if name.endswith("bias") and lifted:
        return u + np.float32(lift_of(name))
    return u


def images_of(shape, seed):
    """n 3 h w, in [-1, 3)."""
    return torch.from_numpy(uniform("images", shape, seed) * np.float32(2) + np.float32(1))


def labels_of(batch):
    return torch.arange(batch) % CLASSES


class Vgg16(torch.nn.Module):
    """torchvision's trunk, mean over positions, one linear map: names as here."""

    def __init__(self):
        super().__init__()
        self.features = torchvision.models.vgg16().features
        self.fc = torch.nn.Linear(512, CLASSES)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def network(name):
    return torchvision.models.resnet50(num_classes=CLASSES) if name == "resnet50" else Vgg16()


def formula_network(name, lifted):
    net = network(name)
    net.load_state_dict({k: torch.from_numpy(formula(k, tuple(v.shape), lifted)) for k, v in net.state_dict().items()})
    return net


def train(net, images, labels, rate, dtype, layout=torch.contiguous_format):
    """What step.hpp's `train_three_steps` gives, under the same names."""
    net = copy.deepcopy(net).to(dtype).to(memory_format=layout).train()
    images = images.to(dtype).to(memory_format=layout)
    adam = torch.optim.Adam(net.parameters(), lr=rate)
    out = {}
    for step in range(3):
        adam.zero_grad()
        logits = net(images)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        if step == 0:
            out["logits"], out["loss"] = logits.detach(), loss.detach()
            out.update({"gradient." + k: p.grad.clone() for k, p in net.named_parameters()})
            out.update({"statistics." + k: b.clone() for k, b in net.named_buffers() if "num_batches" not in k})
        adam.step()
    out.update({"weight." + k: p.detach() for k, p in net.named_parameters()})
    return {k: v.double().contiguous() for k, v in out.items()}


def errors(theirs, exact):
    return {k: float((theirs[k].double() - v).norm() / v.norm()) for k, v in exact.items()}


def float_errors(net, images, labels, rate, exact):
    """What PyTorch's float is off, by the worse of its two layouts: channels_last is the one used here."""
    both = [
        errors(train(net, images, labels, rate, torch.float, layout), exact)
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    return {k: max(e[k] for e in both) for k in exact}


def float_errors_anywhere(name, size, exact):
    """The same, by the worst of three instruction sets and of one and two threads: what other processors may be off."""
    worst = {k: 0.0 for k in exact}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "exact.safetensors")
        safetensors.torch.save_file(exact, file)
        for isa, aten in (("DEFAULT", "avx512"), ("AVX2", "avx2"), ("SSE41", "default")):
            for threads in "1", "2":
                limits = dict(os.environ, ONEDNN_MAX_CPU_ISA=isa, ATEN_CPU_CAPABILITY=aten)
                limits.update(OMP_NUM_THREADS=threads, OMP_WAIT_POLICY="passive")  # others may be running
                words = [sys.executable, __file__, "errors", name, str(size), str(file)]
                done = subprocess.run(words, env=limits, check=True, stdout=subprocess.PIPE, text=True)
                own = json.loads(done.stdout)
                print(f"    {isa}, {threads} threads: {max(own.values()):.1e} in {max(own, key=own.get)}", flush=True)
                worst = {k: max(worst[k], own[k]) for k in exact}
    return worst


def recorded_inputs(name, size, lifted):
    batch, seed = (BATCH[name], SEED[name, size]) if lifted else (2, 1)
    return batch, seed, formula_network(name, lifted), images_of((batch, 3, size, size), seed)


def versions():
    return f"PyTorch {torch.__version__}, torchvision {torchvision.__version__}"


class Tally:
    """Tensors judged by the bound alone, and those where PyTorch's float is off by more than half of it."""

    def __init__(self):
        self.plain, self.plain_worst, self.own, self.failed = 0, 0.0, 0, 0

    def add(self, title, error, own, bound):
        missed = [k for k in error if not error[k] <= max(bound, 2 * own.get(k, 0.0))]  # so that NaN fails
        plain = [k for k in error if 2 * own.get(k, 0.0) <= bound]
        rest = [k for k in error if k not in set(plain)]
        print(f"{title}: {len(error)} tensors")
        for kind, names in (("within the bound", plain), ("measured by PyTorch's float", rest)):
            if names:
                worst = max(names, key=lambda k: error[k] if error[k] == error[k] else math.inf)
                ratio = max(error[k] / own[k] for k in names) if names is rest else None
                print(
                    f"    {len(names)} {kind}: worst {error[worst]:.1e} in {worst}"
                    + (f" (PyTorch's float {own[worst]:.1e}); {ratio:.2f} times its error at most" if ratio else "")
                )
        for k in missed:
            print(f"    FAILED {k}: {error[k]:.2e}, PyTorch's float {own.get(k, 0.0):.2e}")
        self.plain += len(plain)
        self.plain_worst = max([self.plain_worst] + [error[k] if error[k] == error[k] else math.inf for k in plain])
        self.own += len(rest)
        self.failed += len(missed)
        sys.stdout.flush()


def live(program, folder):
    tally = Tally()
    print(f"{versions()}, {platform.machine()}, {torch.get_num_threads()} threads")
    interchange(program, folder)
    for name in ("resnet50", "vgg16"):
        for size in (224, 288):
            for kind in ("lifted", "torchvision"):
                torch.manual_seed(1)
                net = formula_network(name, lifted=True) if kind == "lifted" else network(name)
                images = images_of((BATCH[name], 3, size, size), SEED[name, size])
                if kind == "torchvision":
                    images = torch.randn(2, 3, size, size)
                labels = labels_of(len(images))
                safetensors.torch.save_file(net.state_dict(), folder / "weights.safetensors")
                safetensors.torch.save_file({"images": images, "labels": labels}, folder / "batch.safetensors")
                exact = train(net, images, labels, RATE, torch.double)
                own = float_errors(net, images, labels, RATE, exact)
                for precision in ("float", "double") if kind == "torchvision" else ("float",):
                    results = folder / "results.safetensors"
                    words = ["train", name, precision, folder / "weights.safetensors", folder / "batch.safetensors"]
                    subprocess.run([program, *words, str(RATE), results], check=True)
                    ours = safetensors.torch.load_file(results)
                    if ours.keys() != exact.keys() or any(ours[k].shape != exact[k].shape for k in exact):
                        sys.exit(f"parity: {name}: other tensors than PyTorch's: {sorted(ours.keys() ^ exact.keys())}")
                    title = f"{name} {size}x{size}, {kind} weights, {precision}"
                    if precision == "float":
                        tally.add(title, errors(ours, exact), own, BOUND)
                    else:
                        tally.add(title, errors(ours, exact), {}, DOUBLE_BOUND)
    print(f"{tally.own} tensors where PyTorch's float is itself off by more than {BOUND / 2:g}; {tally.failed} of all failed")
    print(f"parity: worst relative error {tally.plain_worst:.1e} over {tally.plain} tensors")
    return 1 if tally.failed else 0


def interchange(program, folder):
    """torchvision's file -> a network here -> a file -> torchvision's network, to the bit."""
    for name in ("resnet50", "vgg16"):
        torch.manual_seed(2)
        first = getattr(torchvision.models, name)()
        safetensors.torch.save_file(first.state_dict(), folder / "there.safetensors")
        subprocess.run([program, "copy", name, folder / "there.safetensors", folder / "here.safetensors"], check=True)
        back = safetensors.torch.load_file(folder / "here.safetensors")
        second = getattr(torchvision.models, name)()
        if name == "resnet50":
            second.load_state_dict(back, strict=True)
            kept = first.state_dict()
        else:  # the trunk; a head of another kind is on it here
            prefix = "features."
            head = sorted(k for k in back if not k.startswith(prefix))
            if head != ["fc.bias", "fc.weight"]:
                sys.exit(f"parity: beside features.* there is {head}")
            trunk = {k.removeprefix(prefix): v for k, v in back.items() if k.startswith(prefix)}
            second.features.load_state_dict(trunk, strict=True)
            kept = {k: v for k, v in first.state_dict().items() if k.startswith(prefix)}
        now = second.state_dict()
        changed = [k for k, v in kept.items() if v.numpy().tobytes() != now[k].numpy().tobytes()]
        if changed:
            sys.exit(f"parity: {name} came back with other bits in {changed}")
        print(f"{name}: {len(kept)} tensors from torchvision and back, to the bit")
    (folder / "there.safetensors").unlink()
    (folder / "here.safetensors").unlink()


def sketch(name, values, digits):
    """The norm, and four sums of the elements under random signs. |a - b|^2 is the mean square of the sums' differences,
    in expectation: no tensor that is far off has all four close."""
    flat = values.numpy().reshape(-1)
    bits = philox(fnv1a(name), np.arange(flat.size, dtype=np.uint64), 1)
    sums = [float(np.sum(np.where(bits >> np.uint64(j) & np.uint64(1), flat, -flat))) for j in range(4)]
    return [float(f"{np.linalg.norm(flat):.3e}")] + [float(f"{s:.{digits}e}") for s in sums]


def record_case(name, size, precision):
    lifted = precision == "float"
    batch, seed, net, images = recorded_inputs(name, size, lifted)
    exact = train(net, images, labels_of(batch), RATE, torch.double)
    own = float_errors_anywhere(name, size, exact) if lifted else {}
    case = dict(network=name, size=size, batch=batch, seed=seed, precision=precision, rate=RATE, classes=CLASSES)
    case["tensors"] = {
        k: sketch(k, v, 8 if lifted else 10) + ([float(f"{own[k]:.1e}")] if lifted else []) for k, v in exact.items()
    }
    print(name, size, precision, "PyTorch's float off by", f"{max(own.values(), default=0):.1e}", "at most", flush=True)
    return case


def record(path):
    cases = [
        record_case(name, size, precision)
        for name, size, precision in (
            ("resnet50", 224, "float"),
            ("vgg16", 96, "float"),
            ("resnet50", 64, "double"),
            ("vgg16", 64, "double"),
        )
    ]
    head = {
        "made_by": "tests/peers/parity.sh --record",
        "versions": versions(),
        "row": "name: norm, four sums under signs (sketch), what PyTorch's float is off on the worst of several processors (float cases)",
        "bound": BOUND,
        "double_bound": DOUBLE_BOUND,
    }
    lines = [json.dumps(head, indent=1)[:-2] + ',\n "cases": [']
    for i, case in enumerate(cases):
        tensors = case.pop("tensors")
        rows = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in tensors.items())
        lines.append(f"  {json.dumps(case)[:-1]}, \"tensors\": {{\n{rows}\n  }}}}{',' if i + 1 < len(cases) else ''}")
    Path(path).write_text("\n".join(lines) + "\n ]\n}\n")


def seeds(name, size, first, last):
    """Prints, for each seed, how close a ReLU comes to zero, and a max pool's two largest to each other, in units of what
    float is off there: the larger, the safer from flips on other processors. A ReLU in front of a pool counts only where
    it is the pool's largest."""
    net = formula_network(name, lifted=True)

    def inputs(dtype, layout, images):
        found = []
        run = copy.deepcopy(net).to(dtype).to(memory_format=layout).train()
        for module in run.modules():
            if isinstance(module, (torch.nn.ReLU, torch.nn.MaxPool2d)):
                module.register_forward_pre_hook(lambda m, i: found.append((m, i[0].detach().double().contiguous().clone())))
        with torch.no_grad():
            run(images.to(dtype).to(memory_format=layout))
        return found

    for seed in range(first, last + 1):
        images = images_of((BATCH[name], 3, size, size), seed)
        exact = inputs(torch.double, torch.contiguous_format, images)
        floats = [inputs(torch.float, layout, images) for layout in (torch.contiguous_format, torch.channels_last)]
        relu, pool = math.inf, math.inf
        for i, (module, x) in enumerate(exact):
            off = max(float((f[i][1] - x).square().mean().sqrt()) for f in floats)
            if isinstance(module, torch.nn.ReLU):
                if i + 1 < len(exact) and isinstance(exact[i + 1][0], torch.nn.MaxPool2d):
                    continue
                relu = min(relu, float(x.abs().min()) / off)
            else:
                pad = torch.nn.functional.pad(x, [module.padding] * 4).flatten(0, 1)[:, None]
                top = torch.nn.functional.unfold(pad, module.kernel_size, stride=module.stride).topk(2, dim=1)[0]
                live = top[:, 0] > 0
                pool = min(pool, float((top[:, 0] - top[:, 1])[live].min()) / (math.sqrt(2) * off))
                pool = min(pool, float(top[:, 0][live].min()) / off)
        print(f"{seed}: {min(relu, pool):.1f} (ReLUs {relu:.1f}, pools {pool:.1f})", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kind = kinds.add_parser("live")
    kind.add_argument("program")
    kind.add_argument("folder", type=Path)
    kinds.add_parser("record").add_argument("file")
    kind = kinds.add_parser("errors")  # what `record` asks of itself under other limits
    kind.add_argument("network", choices=BATCH)
    kind.add_argument("size", type=int)
    kind.add_argument("exact")
    kind = kinds.add_parser("seeds")
    kind.add_argument("network", choices=BATCH)
    for argument in ("size", "first", "last"):
        kind.add_argument(argument, type=int)
    given = parser.parse_args()
    if given.kind == "live":
        sys.exit(live(given.program, given.folder))
    elif given.kind == "record":
        record(given.file)
    elif given.kind == "errors":
        batch, _, net, images = recorded_inputs(given.network, given.size, lifted=True)
        exact = safetensors.torch.load_file(given.exact)
        print(json.dumps(float_errors(net, images, labels_of(batch), RATE, exact)))
    else:
        seeds(given.network, given.size, given.first, given.last)
