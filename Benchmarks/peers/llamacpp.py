"""Times llama.cpp (llama-cpp-python, CPU) on a Gemma of PaliGemma's sizes with random weights; prints one JSON object.

    python llamacpp.py FILE.gguf --write bf16|q8_0 [--layers 18]      # writes the file: 5.0 or 2.7 GB
    python llamacpp.py FILE.gguf [--threads 2] [--seconds 12]

Text only: a prompt of 266 tokens (causal, as llama.cpp reads one), then steps of B sequences that share it.
"""
import argparse
import ctypes
import json
import statistics
import sys
import time

import numpy as np

WIDTH, MLP, HEADS, HEAD, VOCABULARY, PROMPT = 2048, 16384, 8, 256, 257216, 266


def write(path, kind, layers):
    """Noise from one block, as reference/make_random_model.py has it: scaled so that activations stay of order one."""
    import gguf
    types = dict(bf16=gguf.GGMLQuantizationType.BF16, q8_0=gguf.GGMLQuantizationType.Q8_0)
    file = gguf.GGUFWriter(path, "gemma", use_temp_file=False)
    file.add_context_length(8192)
    file.add_embedding_length(WIDTH)
    file.add_block_count(layers)
    file.add_feed_forward_length(MLP)
    file.add_head_count(HEADS)
    file.add_head_count_kv(1)
    file.add_key_length(HEAD)
    file.add_value_length(HEAD)
    file.add_layer_norm_rms_eps(1e-6)
    file.add_tokenizer_model("llama")
    file.add_token_list([b"<pad>", b"<eos>", b"<bos>", b"<unk>"] + [f"t{i}".encode() for i in range(4, VOCABULARY)])
    file.add_token_scores([0.0] * VOCABULARY)
    file.add_token_types([3, 3, 3, 2] + [1] * (VOCABULARY - 4))
    file.add_bos_token_id(2)
    file.add_eos_token_id(1)
    noise = np.random.default_rng(0).standard_normal(1 << 22).astype(np.float32)

    def matrix(name, rows, columns):
        block = gguf.quants.quantize((noise * np.float32(columns ** -0.5)).reshape(-1, columns), types[kind])
        file.add_tensor(name, np.resize(block, (rows, block.shape[1])), raw_dtype=types[kind])

    def vector(name):
        file.add_tensor(name, 1 + 0.1 * noise[:WIDTH])

    matrix("token_embd.weight", VOCABULARY, WIDTH)
    for i in range(layers):
        vector(f"blk.{i}.attn_norm.weight"), vector(f"blk.{i}.ffn_norm.weight")
        for name, rows, columns in (("attn_q", HEADS * HEAD, WIDTH), ("attn_k", HEAD, WIDTH), ("attn_v", HEAD, WIDTH),
                                    ("attn_output", WIDTH, HEADS * HEAD), ("ffn_gate", MLP, WIDTH), ("ffn_up", MLP, WIDTH),
                                    ("ffn_down", WIDTH, MLP)):
            matrix(f"blk.{i}.{name}.weight", rows, columns)
    vector("output_norm.weight")
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


class Peer:
    def __init__(self, path, threads):
        import llama_cpp as llama
        self.llama = llama
        self.log = llama.llama_log_callback(lambda level, text, _: sys.stderr.write(text.decode()) if level == 4 else None)
        llama.llama_log_set(self.log, ctypes.c_void_p(0))  # errors only
        llama.llama_backend_init()
        options = llama.llama_model_default_params()
        options.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(path.encode(), options)
        if not self.model:
            raise SystemExit(f"llama.cpp does not load {path}")
        settings = llama.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = 4096, 512, 512, 64
        settings.n_threads = settings.n_threads_batch = threads
        settings.kv_unified = True
        self.context = llama.llama_init_from_model(self.model, settings)
        self.memory = llama.llama_get_memory(self.context)

    def decode(self, rows):
        """rows: (token, position, sequence, whether its logits are wanted)."""
        batch = self.llama.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, wanted
            batch.seq_id[i][0] = sequence
        status = self.llama.llama_decode(self.context, batch)
        self.llama.llama_batch_free(batch)
        if status:
            raise SystemExit(f"llama_decode: {status}")
        self.llama.llama_synchronize(self.context)

    def prefill(self):
        self.llama.llama_memory_clear(self.memory, True)
        self.decode([(3 + i, i, 0, i == PROMPT - 1) for i in range(PROMPT)])

    def start(self, batch):
        """One prompt, its keys and values shared by `batch` sequences."""
        self.prefill()
        for sequence in range(1, batch):
            self.llama.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)
        self.position = PROMPT

    def step(self, batch):
        self.decode([(5 + s, self.position, s, True) for s in range(batch)])
        self.position += 1


def timed(work, seconds, least=2, most=30):
    work()
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or (time.perf_counter() < end and len(times) < most):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--write", choices=("bf16", "q8_0"))
    parser.add_argument("--layers", type=int, default=18)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12)
    options = parser.parse_args()
    if options.write:
        return write(options.file, options.write, options.layers)
    peer = Peer(options.file, options.threads)
    seconds = {"prefill_266_b1": timed(peer.prefill, options.seconds)}
    for batch in (1, 8, 64):
        peer.start(batch)
        seconds[f"extend_step_b{batch}"] = timed(lambda: peer.step(batch), options.seconds / 2)
    print(json.dumps(dict(peer="llama.cpp", llama_cpp_python=peer.llama.__version__, threads=options.threads,
                          seconds={k: round(v, 4) for k, v in seconds.items()})))


if __name__ == "__main__":
    main()
