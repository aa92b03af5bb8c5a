#!/usr/bin/env python3
"""The matrix products of PaliGemma 3B at 224 px by Gloss, by OpenBLAS (sgemm) and by torch: f32, bf16, and int8 quantised
dynamically (qint8, onednn). G op/s; a multiply-add is two. OpenBLAS and torch are left out where they are missing.

    Benchmarks/peers/gemm.py --rows 1 20 256
    /tmp/venv/bin/python Benchmarks/peers/gemm.py     # a Python with torch
    /tmp/venv/bin/python Benchmarks/peers/gemm.py --isa avx2 --dtypes int8    # both as on a processor with AVX2 alone
"""
import argparse
import ctypes
import json
import os
import subprocess
import time
import warnings

# As ModelConfiguration.products has them: inputs and outputs.
PRODUCTS = {
    "q, k, v": (2048, 2560), "o": (2048, 2048), "gate, up": (2048, 32768), "down": (16384, 2048), "logits": (2048, 257216),
    "vision q, k, v": (1152, 3456), "vision o": (1152, 1152), "vision fc1": (1152, 4304), "vision fc2": (4304, 1152),
}
# What holds torch to the instructions of one of ours: of oneDNN, of its own kernels.
TORCH_ISAS = {"avx2": ("AVX2", "avx2"), "avx2-bytes": ("AVX2", "avx2"), "avx-vnni": ("AVX2_VNNI", "avx2"),
              "avx512": ("AVX512_CORE", "avx512"), "avx512-vnni": ("AVX512_CORE_VNNI", "avx512")}
# Bytes of the copies of weights that are multiplied in turn, so that no cache holds them.
COPIES = 400_000_000


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 20, 256])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0.3, help="for each figure, about")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16", "int8"], choices=["f32", "bf16", "int8"])
    parser.add_argument("--products", nargs="+", default=list(PRODUCTS), choices=list(PRODUCTS))
    parser.add_argument("--glossctl", default=".build/release/glossctl")
    parser.add_argument("--isa", choices=list(TORCH_ISAS), help="ours and torch's; default: the best that each knows here")
    parser.add_argument("--rounds", type=int, default=1, help="of all engines in turn; the median counts")
    return parser.parse_args()


def speed(rows, inputs, outputs, runs, seconds):
    """Operations/s of the runs in turn, after one to warm up."""
    runs[-1]()
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds or count == 0:
        runs[count % len(runs)]()
        count += 1
    return 2 * rows * inputs * outputs * count / spent


def gloss(options, dtype):
    """By product and rows."""
    command = [options.glossctl, "bench", "gemm", "--json", "--dtype", dtype, "--threads", str(options.threads),
               "--seconds", str(options.seconds), "--rows", *map(str, options.rows)]
    if options.isa:
        command += ["--isa", options.isa]
    lines = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = {}
    for line in lines:
        name, shape = line["name"].rsplit(": ", 1)
        found[name, int(shape.split(" ")[0])] = line["operations_per_second"]
    return found


def openblas(options):
    """sgemm of row-major y = x · Wᵀ; None: it is not installed."""
    os.environ["OPENBLAS_NUM_THREADS"] = str(options.threads)
    try:
        library = ctypes.CDLL("libopenblas.so.0")
    except OSError:
        return None
    # On a processor that is newer than itself it takes an old one's kernels: Prescott's, without AVX.
    library.openblas_get_corename.restype = ctypes.c_char_p
    print("OpenBLAS computes as on", library.openblas_get_corename().decode(), "(OPENBLAS_CORETYPE changes it)")
    pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
    library.cblas_sgemm.argtypes = [integer] * 6 + [real, pointer, integer, pointer, integer, real, pointer, integer]

    def filled(count):
        numbers = (ctypes.c_float * count)()
        ctypes.memset(numbers, 0x3C, 4 * count)  # .01 each
        return numbers

    def measure(name):
        inputs, outputs = PRODUCTS[name]
        copies = [filled(inputs * outputs) for _ in range(max(1, COPIES // (4 * inputs * outputs)))]
        for rows in options.rows:
            x, y = filled(rows * inputs), filled(rows * outputs)
            runs = [lambda w=w: library.cblas_sgemm(101, 111, 112, rows, outputs, inputs, 1, x, inputs, w, inputs, 0, y,
                                                    outputs) for w in copies]
            yield rows, speed(rows, inputs, outputs, runs, options.seconds)

    return {(name, rows): found for name in options.products for rows, found in measure(name)}


def import_torch(options):
    """torch, or None; it reads at its start what it may use."""
    if options.isa:
        os.environ["ONEDNN_MAX_CPU_ISA"], os.environ["ATEN_CPU_CAPABILITY"] = TORCH_ISAS[options.isa]
    warnings.simplefilter("ignore")
    try:
        import torch
    except ImportError:
        return None
    return torch


def by_torch(torch, options, dtype):
    """By nn.Linear without bias."""
    torch.set_num_threads(options.threads)
    torch.backends.quantized.engine = "onednn"
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    size = {"f32": 4, "bf16": 2, "int8": 1}[dtype]
    found = {}
    for name in options.products:
        inputs, outputs = PRODUCTS[name]

        def layer():
            linear = torch.nn.Linear(inputs, outputs, bias=False, dtype=kind)
            if dtype != "int8":
                return linear
            return torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(linear), {torch.nn.Linear}, torch.qint8)

        copies = [layer() for _ in range(max(1, COPIES // (size * inputs * outputs)))]
        with torch.inference_mode():
            for rows in options.rows:
                x = torch.randn(rows, inputs, dtype=kind)
                found[name, rows] = speed(rows, inputs, outputs, [lambda c=c: c(x) for c in copies], options.seconds)
    return found


def main():
    options = parse()
    if not os.path.exists(options.glossctl):
        raise SystemExit(f"gemm.py: there is no {options.glossctl}: swift build -c release --product glossctl")
    engines = {}
    torch = import_torch(options)
    for dtype in options.dtypes:
        engines[f"gloss {dtype}"] = lambda dtype=dtype: gloss(options, dtype)
        if dtype == "f32" and not options.isa:
            engines["OpenBLAS f32"] = lambda: openblas(options)
        if torch:
            engines[f"torch {dtype}"] = lambda dtype=dtype: by_torch(torch, options, dtype)
    rounds = {name: [] for name in engines}
    for _ in range(options.rounds):
        for name, measure in engines.items():
            if (found := measure()) is not None:
                rounds[name].append(found)
    columns = [name for name in engines if rounds[name]]
    print("| rows × inputs × outputs | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for product in options.products:
        inputs, outputs = PRODUCTS[product]
        for rows in options.rows:
            cells = []
            for name in columns:
                speeds = sorted(found[product, rows] for found in rounds[name])
                cells.append(f"{speeds[len(speeds) // 2] / 1e9:.0f}")
            print(f"| {rows} × {inputs} × {outputs} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
