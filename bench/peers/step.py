"""Times training steps in PyTorch at its best: channels_last, mixed precision by autocast, eager or compiled, fused Adam on a GPU.

Prints one line of JSON with the members that bench_step prints. ResNet50 and VGG16 are torchvision's, VGG16 with a global
average and one linear layer behind its trunk, as here.
"""
import argparse
import json
import statistics
import time

import torch
import torchvision


class Vgg16(torch.nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = torchvision.models.vgg16(weights=None).features
        self.fc = torch.nn.Linear(512, classes)

    def forward(self, x):
        return self.fc(self.features(x).mean((2, 3)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", choices=["resnet50", "vgg16"], default="resnet50")
    parser.add_argument("--size", default="224x224")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=["fp32", "tf32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--compile", choices=["no", "default", "max-autotune"], default="no")
    parser.add_argument("--layout", choices=["channels_last", "nchw"], default="channels_last")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warm-up", type=int, default=3)
    parser.add_argument("--classes", type=int, default=1000)
    o = parser.parse_args()
    rows, columns = (int(n) for n in o.size.split("x"))
    gpu = o.device == "gpu"
    device = torch.device("cuda" if gpu else "cpu")
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = o.precision != "fp32"
    torch.backends.cudnn.benchmark = True
    net = torchvision.models.resnet50(weights=None, num_classes=o.classes) if o.network == "resnet50" else Vgg16(o.classes)
    layout = torch.channels_last if o.layout == "channels_last" else torch.contiguous_format
    net = net.to(device, memory_format=layout).train()
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True) if gpu else torch.optim.Adam(net.parameters(), lr=1e-4)
    run = net if o.compile == "no" else torch.compile(net, mode=None if o.compile == "default" else o.compile)
    x = torch.rand(o.batch, 3, rows, columns, device=device).mul_(2).sub_(1).to(memory_format=layout)
    labels = torch.randint(o.classes, (o.batch,), device=device)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(o.precision)
    scaler = torch.amp.GradScaler("cuda", enabled=gpu and o.precision == "fp16")

    def wait():
        if gpu:
            torch.cuda.synchronize()

    def step():
        with torch.autocast(device.type, dtype=half or torch.bfloat16, enabled=half is not None):
            loss = torch.nn.functional.cross_entropy(run(x), labels)
        scaler.scale(loss).backward()
        scaler.step(adam)
        scaler.update()
        adam.zero_grad(set_to_none=True)

    seconds = []
    for i in range(o.warm_up + o.steps):
        if gpu and i == o.warm_up:
            torch.cuda.reset_peak_memory_stats()
        wait()
        begin = time.perf_counter()
        step()
        wait()
        if i >= o.warm_up:
            seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    unwaited = None
    if gpu:  # as a training loop runs that waits for nothing
        begin = time.perf_counter()
        for _ in range(o.steps):
            step()
        wait()
        unwaited = (time.perf_counter() - begin) / o.steps
    print(json.dumps({
        "library": f"PyTorch {torch.__version__}", "mode": "eager" if o.compile == "no" else f"compile {o.compile}",
        "layout": o.layout, "network": o.network, "size": o.size, "batch": o.batch, "precision": o.precision,
        "device": o.device, "card": torch.cuda.get_device_name() if gpu else "", "steps": o.steps, "median_seconds": median, "least_seconds": min(seconds),
        "unwaited_seconds": unwaited, "images_per_second": o.batch / median,
        "peak_bytes": torch.cuda.max_memory_allocated() if gpu else None,
    }), flush=True)


main()
