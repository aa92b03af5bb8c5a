"""Compare int8 schemes on single GEMMs, with and without outliers; prints a table.

    python reference/quantised_gemm.py

The schemes are those of quantisation.py. Needs torch and sentencepiece, as quantisation.py does.
"""
import torch

from quantisation import bf16, grouped, quantised, rotated


def gemm_table(rows=64, n=2048):
    """Relative error of one GEMM: the norm of the difference over the norm of the result, and over the norm of the
    part that the ordinary channels give."""
    generator = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(*shape, generator=generator)
    print("\nOne GEMM, M = 64, N = 2048: relative error of the result / of the ordinary channels' share of it\n")
    cases = [(k, kind) for k in (2048, 16384) for kind in ("Gaussian", "2 x 20", "2 x 200")]
    print("| scheme | " + " | ".join(f"K = {k}, {kind}" for k, kind in cases) + " |\n|---" + "|---" * len(cases) + "|")
    inputs = {}
    for k, kind in cases:
        x, w = bf16(normal(rows, k)), bf16(normal(n, k) * k ** -0.5)
        if kind != "Gaussian":
            x[:, [5, k // 2 + 77]] *= float(kind.split()[-1])
        inputs[k, kind] = (x, w)
    pairs = (0, "bf16"), (128, "bf16"), (0, 0), (0, 512), (0, 256), (0, 128), (0, 64), (128, 128), (64, 64), (32, 32)
    schemes = [("W bf16, A bf16 (result rounded to bf16)", "bf16", "bf16", False)]
    schemes += [(f"W {w or 'chan'}, A {a or 'token'}" + ", rotated" * rotate, w, a, rotate)
                for w, a in pairs for rotate in ((False, True) if a == 0 else (False,))]
    for name, wg, ag, rotate in schemes:
        cells = []
        for case in cases:
            x, w = (rotated(z) if rotate else z for z in inputs[case])
            q = x if ag == "bf16" else quantised(x, ag)
            v = w if wg == "bf16" else quantised(w, wg)
            exact, got = x.double() @ w.double().T, q.double() @ v.double().T
            if wg == "bf16":
                got = got.bfloat16().double()
            big = [5, case[0] // 2 + 77]
            x, w = inputs[case]
            plain = exact - x[:, big].double() @ w[:, big].double().T
            cells.append(f"{(got - exact).norm() / exact.norm():.4f} / {(got - exact).norm() / plain.norm():.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def check_exactness():
    """Compares int32 dot products, scaled group by group, with the product of dequantised operands."""
    x, w, group = torch.randn(8, 512), torch.randn(16, 512), 128
    sx, sw = (grouped(z, group).abs().amax(-1, keepdim=True) / 127 for z in (x, w))
    qx, qw = ((grouped(z, group) / s).round().to(torch.int32) for z, s in ((x, sx), (w, sw)))
    dots = torch.einsum("mgk,ngk->mng", qx.long(), qw.long())
    exact = (dots.float() * sx[:, None, :, 0] * sw[None, :, :, 0]).sum(-1)
    error = (exact - quantised(x, group) @ quantised(w, group).T).abs().max() / exact.abs().max()
    assert error < 1e-6, error
    print(f"int32 dots, scaled, against f32 of dequantised operands: {error:.1e} of the greatest result")


if __name__ == "__main__":
    check_exactness()
    gemm_table()
