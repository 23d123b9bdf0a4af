"""Peak resident memory of training steps in PyTorch on the CPU, for `bench_memory --python`: ResNet50 with two blocks on top.

The network is that of `--top 256x1,128x1`: torchvision's ResNet50 without its head, two times (3x3 convolution, batch norm,
ReLU, 2x2 max pool), the mean over positions, a linear map to two classes; channels_last, Adam. Prints two numbers of bytes: peak
RSS, and by how much it rose over what the process held before the network was made.
"""
import argparse
import resource

import torch
import torchvision


def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024


def block(inputs, outputs):
    return [torch.nn.Conv2d(inputs, outputs, 3, padding=1), torch.nn.BatchNorm2d(outputs), torch.nn.ReLU(inplace=True),
            torch.nn.MaxPool2d(2)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", default="1152x896")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=3)
    o = parser.parse_args()
    rows, columns = (int(n) for n in o.size.split("x"))
    torch.manual_seed(1)
    before = resident()
    trunk = list(torchvision.models.resnet50(weights=None).children())[:-2]
    net = torch.nn.Sequential(*trunk, *block(2048, 256), *block(256, 128), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
                              torch.nn.Linear(128, 2)).to(memory_format=torch.channels_last).train()
    adam = torch.optim.Adam(net.parameters(), lr=1e-4)
    x = torch.rand(o.batch, 3, rows, columns).mul_(2).sub_(1).to(memory_format=torch.channels_last)
    labels = torch.randint(2, (o.batch,))
    for _ in range(o.steps):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(peak, peak - before)


main()
