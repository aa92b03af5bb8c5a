"""img2dataset on the same list."""
import collections
import json
import os
import subprocess
import tempfile
import time

import processes

RESULTS = """
import collections, glob, json, sys
import pyarrow.parquet as parquet
found = collections.Counter()
for path in sorted(glob.glob(sys.argv[1] + "/*.parquet")):
    table = parquet.read_table(path, columns=["kind", "status", "error_message"]).to_pylist()
    for row in table:
        found[row["kind"], "image" if row["status"] == "success" else (row["error_message"] or row["status"])] += 1
print(json.dumps([[kind, outcome, count] for (kind, outcome), count in found.items()]))
"""


def run(urls, web, options, retries, opt_outs):
    """What became of the URLs (kind, number, URL), and what it took; `opt_outs`: off or named."""
    with tempfile.TemporaryDirectory(prefix="gloss-peer.") as folder:
        with open(f"{folder}/list.jsonl", "w") as file:
            for kind, _, url in urls:
                file.write(json.dumps(dict(url=url, kind=kind), ensure_ascii=False) + "\n")
        environment = dict(os.environ, SSL_CERT_FILE=web.authority, NO_ALBUMENTATIONS_UPDATE="1", PYTHONWARNINGS="ignore")
        command = [f"{options.img2dataset}/bin/img2dataset", "--url_list", f"{folder}/list.jsonl", "--input_format", "jsonl", "--url_col", "url",
                   "--save_additional_columns", '["kind"]', "--output_folder", f"{folder}/out", "--output_format", "webdataset",
                   "--processes_count", "2", "--thread_count", "64", "--timeout", str(options.timeout), "--retries", str(retries),
                   "--number_sample_per_shard", str(max(500, min(10_000, len(urls) // 8))), "--image_size", "224",
                   "--user_agent_token", "img2dataset", "--disallowed_header_directives",
                   "[]" if opt_outs == "off" else '["noai", "noimageai"]']
        web.ask("begin")
        start = time.monotonic()
        with open(f"{folder}/log", "w") as log:
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        usage = processes.Usage([child.pid])
        is_done = True
        try:
            child.wait(60 * options.minutes)
        except subprocess.TimeoutExpired:
            is_done = False
            for pid in processes.tree(child.pid):
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            child.wait()
        seconds = time.monotonic() - start
        used, seen = usage.end(), web.ask("stats")
        if child.returncode and is_done:
            with open(f"{folder}/log") as log:
                raise SystemExit(f"img2dataset ended with {child.returncode}: {log.read()[-2000:]}")
        told = subprocess.run([f"{options.img2dataset}/bin/python", "-c", RESULTS, f"{folder}/out"], check=True, capture_output=True, text=True)
        outcomes = collections.defaultdict(dict)
        for kind, outcome, count in json.loads(told.stdout):
            outcomes[kind][outcome] = count
        return dict(name=f"img2dataset, {'no opt-outs' if opt_outs == 'off' else 'noai, noimageai'}, retries {retries}", is_done=is_done,
                    seconds=seconds, seen=seen, outcomes=outcomes, times=[], **used)
