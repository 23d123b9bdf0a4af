"""Makes the folder that call C of tests/gpu.sh trains on, small enough to be sent to a CUDA machine.

    python3 tests/gpu_film.py CBIS_DDSM_MASS FOLDER [--megabytes 30] [--weights VGG16.safetensors]

The images keep their names, sizes and boxes; they become grey JPEG files of the best quality, the same for all, at which
together they have at most so many megabytes (10^6 bytes). The weights become bfloat16, which is what a step in bfloat16 makes of
them. Needs Pillow; numpy and safetensors for the weights. Prints how the images were made.
"""
import argparse
import io
import json
import pathlib
import shutil

from PIL import Image


def encoded(path, quality):
    with Image.open(path) as image:
        out = io.BytesIO()
        image.convert("L").save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()


def narrow_weights(path, out):
    """Writes the float32 tensors of a safetensors file as bfloat16; returns their bytes."""
    import numpy
    from safetensors import safe_open

    data, at = [], 0
    with safe_open(path, "numpy") as file:
        entries = {"__metadata__": file.metadata() or {}}
        for name in file.keys():
            tensor = file.get_tensor(name).astype("<f4")
            # numpy has no bfloat16: the upper 16 bits of float32, rounded to nearest, ties to even.
            bits = tensor.view("<u4").astype("<u8")
            bits = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
            entries[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [at, at + len(bits)]}
            data.append(bits)
            at += len(bits)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    out.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))
    return at


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--megabytes", type=float, default=30)
    parser.add_argument("--weights", type=pathlib.Path)
    o = parser.parse_args()
    images = sorted((o.data / "images").glob("*.jpg"))
    if not images:
        parser.error(f"{o.data}/images has no .jpg files")
    some, most = images[:: max(1, len(images) // 100)], o.megabytes * 1e6
    low, high = 1, 95  # the estimate from a hundred of them, then what all of them have
    while low < high:
        middle = (low + high + 1) // 2
        if sum(len(encoded(path, middle)) for path in some) * len(images) / len(some) <= most:
            low = middle
        else:
            high = middle - 1
    quality = low
    while True:
        files = {path.name: encoded(path, quality) for path in images}
        total = sum(map(len, files.values()))
        if total <= most:
            break
        if quality == 1:
            parser.error(f"the images have {total / 1e6:.1f} MB even at quality 1; {o.megabytes} are allowed")
        quality -= 1
    (o.out / "images").mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (o.out / "images" / name).write_bytes(data)
    shutil.copy(o.data / "images" / "_annotations.coco.json", o.out / "images")
    shutil.copytree(o.data / "csv", o.out / "csv", dirs_exist_ok=True)
    how = f"{len(images)} images as grey JPEG of quality {quality}: {total / 1e6:.1f} MB"
    (o.out / "HOW").write_text(how + "\n")
    if o.weights:
        how += f"; weights as bfloat16: {narrow_weights(o.weights, o.out / 'vgg16.safetensors') / 1e6:.1f} MB"
    print(f"{o.out}: {how}")


main()
