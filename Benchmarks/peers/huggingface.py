"""Times Hugging Face's PaliGemma on CPUs part by part on a folder of random weights; prints one JSON object.

    python huggingface.py FOLDER [--dtype bf16] [--threads 2] [--layers 18] [--seconds 20]

--dtype int8 loads f32 and quantises all linear layers dynamically (qint8, onednn), as torch's documentation shows it: 14 GB
of memory while it loads.

Fewer --layers only where memory or time force it: the decoder's times are then scaled up linearly in the layers, and the
output says so ("extrapolated").
"""
import argparse
import json
import os
import statistics
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# torch names what replaces its own quantisation in many lines.
warnings.simplefilter("ignore")
import torch
import transformers
from transformers import AutoConfig, DynamicCache, PaliGemmaForConditionalGeneration

PROMPT, STEPS, SAMPLES, QUERIES = 266, 4, 5, 32


def timed(work, seconds, least=2):
    """The median of as many calls as fit into `seconds`, at least `least`, after one that warms up."""
    work()
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


class Peer:
    def __init__(self, folder, layers, dtype):
        # Quantised layers take and give f32.
        self.dtype = torch.bfloat16 if dtype == "bf16" else torch.float32
        config = AutoConfig.from_pretrained(folder)
        self.full = config.text_config.num_hidden_layers
        config.text_config.num_hidden_layers = self.layers = min(layers, self.full)
        self.model = PaliGemmaForConditionalGeneration.from_pretrained(folder, config=config, dtype=self.dtype).eval()
        if dtype == "int8":
            torch.backends.quantized.engine = "onednn"
            torch.ao.quantization.quantize_dynamic(self.model, {torch.nn.Linear}, dtype=torch.qint8, inplace=True)
        text, vision = config.text_config, config.vision_config
        self.width, self.image, self.side = text.hidden_size, config.image_token_index, vision.image_size
        self.images = (self.side // vision.patch_size) ** 2
        self.decoder = self.model.model.language_model

    def pixels(self, count):
        return torch.rand(count, 3, self.side, self.side).mul(2).sub(1).to(self.dtype)

    def vision(self, count):
        """Tower and projector."""
        pixels = self.pixels(count)
        return lambda: self.model.get_image_features(pixel_values=pixels)

    def read(self, cache):
        """One prompt of image and text, all of it seeing all of it; the logits of its last position."""
        rows = torch.randn(1, PROMPT, self.width).to(self.dtype)
        mask = torch.zeros(1, 1, PROMPT, PROMPT, dtype=self.dtype)
        out = self.decoder(inputs_embeds=rows, attention_mask=mask, past_key_values=cache, use_cache=True)
        return self.model.lm_head(out.last_hidden_state[:, -1:])

    def prefill(self):
        return lambda: self.read(DynamicCache())

    def extend(self, batch):
        """One more token for `batch` samples of one prompt."""
        cache = DynamicCache()
        self.read(cache)
        cache.batch_repeat_interleave(batch)
        ids = torch.randint(3, 1000, (batch, 1))

        def step():
            out = self.decoder(input_ids=ids, past_key_values=cache, use_cache=True)
            return self.model.lm_head(out.last_hidden_state)
        return step

    def call(self, samples):
        """generate() as a user calls it: one image, a prompt, STEPS tokens after the first."""
        ids = torch.cat([torch.full((1, self.images), self.image), torch.randint(3, 1000, (1, PROMPT - self.images))], 1)
        asked = dict(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=torch.zeros_like(ids),
                     pixel_values=self.pixels(1), do_sample=True, num_return_sequences=samples,
                     min_new_tokens=STEPS + 1, max_new_tokens=STEPS + 1)
        return lambda: self.model.generate(**asked)


def measure(peer, seconds):
    """Seconds of each part; what is scaled by the layers left out is the decoder's time, its logits included."""
    scale = peer.full / peer.layers
    say = lambda text: print(text, file=sys.stderr, flush=True)
    out = {}
    for batch in (1, 8):
        out[f"vision_image_b{batch}"] = timed(peer.vision(batch), seconds) / batch
        say(f"vision, {batch} at once: {out[f'vision_image_b{batch}']:.3f} s an image")
    out["prefill_266_b1"] = timed(peer.prefill(), seconds) * scale
    say(f"prefill: {out['prefill_266_b1']:.3f} s")
    for batch in (1, 8, 20, 64):
        out[f"extend_step_b{batch}"] = timed(peer.extend(batch), seconds / 2) * scale
        say(f"extend, {batch} at once: {out[f'extend_step_b{batch}']:.3f} s a step")
    separate = out["vision_image_b1"] + out["prefill_266_b1"] + STEPS * out["extend_step_b1"]
    out["object_160_calls"] = QUERIES * SAMPLES * separate
    if scale == 1:
        for samples in (1, SAMPLES):
            out[f"call_{samples}"] = timed(peer.call(samples), 0, least=2)
            say(f"generate, {samples} sequences: {out[f'call_{samples}']:.2f} s")
        out["object_160_generate_calls"] = QUERIES * SAMPLES * out["call_1"]
        out["object_32_generate_calls_of_5"] = QUERIES * out[f"call_{SAMPLES}"]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--dtype", choices=("bf16", "f32", "int8"), default="bf16")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=10 ** 6)
    parser.add_argument("--seconds", type=float, default=12)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        peer = Peer(options.folder, options.layers, options.dtype)
        seconds = measure(peer, options.seconds)
    print(json.dumps(dict(peer="huggingface", dtype=options.dtype, torch=torch.__version__, transformers=transformers.__version__,
                          threads=options.threads, layers=peer.layers, extrapolated=peer.layers < peer.full,
                          seconds={k: round(v, 4) for k, v in seconds.items()})))


if __name__ == "__main__":
    main()
