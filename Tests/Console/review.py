"""Reviews and comparisons in a browser: by keyboard, by mouse, without scripts, by two people at once. check.py calls it."""
import json

BOXES = "task=detect&batch=photos&policy=lowest"
TEXTS = "task=caption&batch=photos&policy=newest"


def fill(server, psql):
    """Another model's results of the same keys: a box further right, one less, and other words. An evaluation with tables."""
    psql(server, """
        insert into gloss.engine (model, digest, precision, resize, version)
        values ('paligemma-10b', repeat('cd', 32), 'bf16', 'bicubic', '0.1.0');
        create temporary table twin as
        select a.job_id, j.key, k.task, j.image_urls from gloss.annotation a join gloss.job j on j.id = a.job_id
        join gloss.kind k on k.id = j.kind where k.task in ('detect', 'caption') and j.key !~ '^scene-(3|9)(/|$)';
        select count(*) from twin, gloss.enqueue_detect(image_urls[1], array['cube'], key => twin.key, batch => 'photos', model => 'paligemma-10b')
        where task = 'detect';
        select count(*) from twin, gloss.enqueue_caption(image_urls[1], key => twin.key, batch => 'photos', model => 'paligemma-10b')
        where task = 'caption';
        create temporary table pair as
        select t.job_id as old, j.id as new from twin t join gloss.job j on j.key = t.key and j.id > t.job_id
        join gloss.kind k on k.id = j.kind and k.model = 'paligemma-10b' and k.task = t.task;
        insert into gloss.finding (job_id, fence, n, image, score, y1, x1, y2, x2, label)
        select p.new, p.new + 1000, f.n, 1, f.score, f.y1, least(f.x1 + case f.n when 1 then .01 else .2 end, f.x2 - .001), f.y2, f.x2, f.label
        from pair p join gloss.finding f on f.job_id = p.old where f.n < 3;
        insert into gloss.annotation (job_id, fence, worker, engine, score, attempts, rescues, not_understood, findings, views, questions,
            samples, task, finish, texts, sums, norms, tokens, prompts, image_sha256, final_urls, timings)
        select p.new, p.new + 1000, a.worker, (select max(id) from gloss.engine), a.score, 0, 0, 0,
               (select count(*) from gloss.finding f where f.job_id = p.new), 1, 1, 1, a.task, 'e',
               case when p.old % 2 = 0 then a.texts else array[replace(a.texts[1], ' a ', ' one ') || ' here'] end, a.sums, a.norms, a.tokens,
               a.prompts, a.image_sha256, a.final_urls, a.timings
        from pair p join gloss.annotation a on a.job_id = p.old;
        delete from gloss.ready r using pair p where r.job_id = p.new;
        insert into gloss.tally (batch_id, lane, done, dead)
        select j.batch_id, l.id, count(*), 0 from pair p join gloss.job j on j.id = p.new
        join gloss.lane l on l.kind = j.kind and l.priority = j.priority group by 1, 2;
        select gloss.keep_evaluation(jsonb_build_object('metric', 'exact', 'variant', 'exact', 'labels_sha256', repeat('a1', 32),
            'model', 'paligemma-3b', 'model_digest', repeat('ab', 32), 'gloss_version', '0.1.0', 'n', 24,
            'selection', '{"batch": "photos", "task": "vqa", "missing": "skip"}'::jsonb, 'not_scored', '[]'::jsonb, 'figures', '[
            {"name": "accuracy", "value": 0.75, "count": 24, "low": 0.56, "high": 0.88},
            {"name": "calibration", "value": 0.083, "count": 24, "ece": 0.083, "brier": 0.17, "bins": [
                {"low": 0.2667, "high": 0.3333, "count": 3, "confidence": 0.31, "accuracy": 0.3333},
                {"low": 0.4, "high": 0.4667, "count": 5, "confidence": 0.44, "accuracy": 0.6},
                {"low": 0.6667, "high": 0.7333, "count": 6, "confidence": 0.7, "accuracy": 0.8333},
                {"low": 0.9333, "high": 1, "count": 10, "confidence": 0.97, "accuracy": 0.9}]},
            {"name": "confusion", "value": null, "count": 24, "labels": ["2", "3", "4"], "answers": ["2", "3", "4", "5"],
             "counts": [[6, 1, 0, 0, 0, 0], [1, 7, 2, 0, 0, 0], [0, 1, 5, 0, 0, 1], [0, 0, 0, 0, 0, 0]]}]'::jsonb));
        """)


# Those that every page is checked with.
PAGES = {"compare": "/compare?batch=photos&left=paligemma-3b&right=paligemma-10b", "words": "/compare?batch=photos&task=caption",
         "reviews": "/review?batch=photos", "reliability": "/evaluations/4"}


def verdicts(server):
    """The last one first: verdict, key, answer."""
    rows = server.sql("""select coalesce(json_agg(json_build_array(verdict, key, answer, policy) order by id desc), '[]')
                         from gloss.review""")
    return json.loads(rows)


class Person:
    """Somebody with a browser."""

    def __init__(self, checks, console, chrome, **more):
        self.checks, self.console, self.browser = checks, console, chrome(**more)
        self.browser.get(console.link)

    def open(self, path):
        self.browser.get(self.console.site + path)

    def find(self, css):
        return self.browser.find_element("css selector", css)

    def key(self, *keys):
        """As it comes to whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains
        chain = ActionChains(self.browser)
        for one in keys:
            chain.send_keys(one)
        chain.perform()

    def chord(self, held, *keys):
        """Keys while another one is held."""
        from selenium.webdriver.common.action_chains import ActionChains
        ActionChains(self.browser).key_down(held).send_keys(*keys).key_up(held).perform()

    def leaves(self, act):
        """Waits until the page is another one, and whole."""
        from selenium.webdriver.support.ui import WebDriverWait
        before = self.find("html")
        act()
        WebDriverWait(self.browser, 60).until(lambda _: gone(before))
        WebDriverWait(self.browser, 60).until(lambda one: one.execute_script("return document.readyState") == "complete")

    def item(self):
        return self.browser.current_url.split("/review/")[1].split("?")[0]

    def begin(self, query):
        self.open(f"/review?{query}")
        self.leaves(self.find("button[formaction='/review/next']").click)

    def shoot(self, folder, name):
        """A picture of the page, when those on it are there."""
        from selenium.webdriver.support.ui import WebDriverWait
        script = "return [...document.images].every(image => image.complete && image.naturalWidth)"
        WebDriverWait(self.browser, 60).until(lambda one: one.execute_script(script))
        if folder:
            self.browser.save_screenshot(f"{folder}/{name}.png")

    def places(self):
        """The edges in the fields: a list a box."""
        return self.browser.execute_script(
            "return [...document.querySelectorAll('#box-rows tr')].map(row => ['y1', 'x1', 'y2', 'x2'].map(n => "
            "Number(row.querySelector(`[name=${n}]`).value)))")

    def shown(self):
        return self.find("#said").text

    def clean(self, where):
        log = [entry["message"] for entry in self.browser.get_log("browser") if "favicon" not in entry["message"]]
        self.checks.equal(f"{where}: log", log, [])


def gone(element):
    from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
    try:
        element.is_enabled()
        return False
    except (StaleElementReferenceException, WebDriverException):
        return True


def by_keyboard(checks, person, server, shots):
    from selenium.webdriver.common.keys import Keys

    person.begin(TEXTS)
    first = person.item()
    for key, verdict, word in (("a", "accept", "Accepted"), ("x", "reject", "Rejected"), (" ", "skip", "Skipped"), ("l", "looked", "Looked at")):
        job = person.item()
        person.leaves(lambda: person.key(key))
        checks.equal(f"the key {key!r}", verdicts(server)[0][0], verdict)
        checks.equal(f"after the key {key!r} the page says", person.shown(), f"{word} job {job}.")
        checks.equal(f"after the key {key!r}: another item", person.item() != job, True)
    checks.equal("the first one does not come back", person.item() != first, True)
    here = person.item()
    person.leaves(lambda: person.key("u"))
    checks.equal("u leads back", person.item() != here and person.shown() == "Undone.", True)
    checks.equal("u withdraws", verdicts(server)[0][0], "undo")
    # The text, without a mouse.
    person.key("e")
    checks.equal("e leads to the text", person.browser.switch_to.active_element.get_attribute("id"), "text")
    count = len(verdicts(server))
    person.key(Keys.END, " axlu?")
    checks.equal("letters are letters in a field", len(verdicts(server)), count)
    person.key(Keys.ESCAPE)
    person.key("e")
    person.leaves(lambda: person.chord(Keys.CONTROL, Keys.ENTER))
    checks.equal("Ctrl+Enter saves", (verdicts(server)[0][0], verdicts(server)[0][2]["text"].endswith(" axlu?")), ("edit", True))
    # Off is off, on the next page too.
    person.find("#shortcuts").click()
    here, count = person.item(), len(verdicts(server))
    person.key("x")
    person.open(f"/review/{here}?{TEXTS}")
    person.key("x")
    checks.equal("shortcuts are off", (person.item(), len(verdicts(server))), (here, count))
    person.find("#shortcuts").click()
    person.key("?")
    checks.equal("? shows the keys", person.find("#help").get_attribute("open") is not None, True)
    person.find("#note").send_keys("x a ", Keys.ENTER)
    checks.equal("Enter in a field judges nothing", (person.item(), len(verdicts(server))), (here, count))
    person.open("/results")
    person.key("a")
    checks.equal("no letter does anything elsewhere", len(verdicts(server)), count)

    # Boxes.
    person.begin(BOXES)
    person.shoot(shots, "review-item")
    before = person.places()
    person.key("e")
    active = person.browser.switch_to.active_element
    checks.equal("e leads to the first box", active.get_attribute("aria-label").startswith("Box 1: "), True)
    person.key(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    moved = person.places()[0]
    expected = [min(a + b, 1) for a, b in zip(before[0], (.005, .005, .005, .005))]
    checks.equal("arrows move a box", [round(x, 3) for x in moved], [round(x, 3) for x in expected])
    checks.equal("the others stay", person.places()[1:], before[1:])
    checks.equal("its place is said", person.shown().startswith(active.get_attribute("aria-label").split(": ")[1] + ": top "), True)
    person.chord(Keys.SHIFT, Keys.ARROW_UP, Keys.ARROW_LEFT)
    sized = person.places()[0]
    checks.equal("Shift and arrows resize it", [round(a - b, 3) for a, b in zip(sized, moved)], [0, 0, -.005, -.005])
    person.key(Keys.ENTER)
    checks.equal("Enter leads to its label", person.browser.switch_to.active_element.get_attribute("name"), "box-label")
    person.key("lynx")
    label = person.browser.execute_script("return document.querySelector('.editor text').textContent")
    checks.equal("the picture says the label at once", label, "lynx")
    job = person.item()
    person.shoot(shots, "review-edit")
    person.leaves(lambda: person.chord(Keys.CONTROL, Keys.ENTER))
    verdict, _, answer, policy = verdicts(server)[0]
    checks.equal("the edit is recorded", (verdict, policy, answer["boxes"][0]["label"]), ("edit", "lowest", "lynx"))
    checks.equal("at its place", [round(x, 3) for x in answer["boxes"][0]["box"]], [round(x, 3) for x in sized])
    same = server.sql(f"""select count(*) from gloss.truth t, jsonb_array_elements(t.answer -> 'boxes') with ordinality b (box, n)
        join gloss.finding f on f.n = b.n and f.job_id = {job} where t.job_id = {job} and (b.box #>> '{{box,0}}')::real = f.y1
        and (b.box #>> '{{box,3}}')::real = f.x2 and b.n > 1""")
    checks.equal("what was not touched is exactly the same", int(same), len(before) - 1)
    # Deleted, by keyboard.
    count = len(person.places())
    person.key("e")
    person.key(Keys.DELETE)
    person.leaves(lambda: person.chord(Keys.CONTROL, Keys.ENTER))
    checks.equal("Delete deletes", len(verdicts(server)[0][2]["boxes"]), count - 1)
    person.clean("review by keyboard")


def by_mouse(checks, person, server, shots):
    from selenium.webdriver.common.action_chains import ActionChains

    def drag(start, end):
        """From a place to a place of the picture, both in fractions."""
        layer = person.find(".editor")
        person.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", layer)
        size = layer.rect
        point = lambda at: (round((at[1] - .5) * size["width"]), round((at[0] - .5) * size["height"]))  # noqa: E731
        chain = ActionChains(person.browser, duration=50).move_to_element_with_offset(layer, *point(start)).click_and_hold()
        chain.move_to_element_with_offset(layer, *point(end)).release().perform()

    near = lambda one, other: all(abs(a - b) < .006 for a, b in zip(one, other))  # noqa: E731
    person.begin(BOXES)
    person.find("#edit summary").click()
    before = person.places()
    y1, x1, y2, x2 = before[0]
    drag((y2, x2), (y2 - .05, x2 - .05))
    checks.equal("a corner is dragged", near(person.places()[0], (y1, x1, y2 - .05, x2 - .05)), True)
    checks.equal("the others stay", person.places()[1:], before[1:])
    y2, x2 = person.places()[0][2:]
    # Smaller ones lie above: the box is taken where it is alone.
    middle = person.browser.execute_script("""
        const boxes = arguments[0], [y1, x1, y2, x2] = boxes[0];
        for (let y = y1 + .04; y < y2 - .04; y += .01) for (let x = x1 + .04; x < x2 - .04; x += .01)
          if (boxes.slice(1).every(b => y < b[0] - .03 || y > b[2] + .03 || x < b[1] - .03 || x > b[3] + .03)) return [y, x];
        return null;""", person.places())
    if middle:
        drag(middle, (middle[0] - .02, middle[1] - .02))
        checks.equal("a box is dragged", near(person.places()[0], (y1 - .02, x1 - .02, y2 - .02, x2 - .02)), True)
    drag((.01, .01), (.06, .08))
    checks.equal("a new one is drawn", near(person.places()[-1], (.01, .01, .06, .08)), True)
    checks.equal("beside the others", len(person.places()), len(before) + 1)
    person.find("#add-box").click()
    checks.equal("a button adds one", person.places()[-1], [.4, .4, .6, .6])
    person.find("#box-rows tr:last-child input[name=gone]").click()
    person.find("#box-rows tr:nth-last-child(2) input[name=box-label]").clear()
    person.find("#box-rows tr:nth-last-child(2) input[name=box-label]").send_keys("corner")
    person.shoot(shots, "review-mouse")
    person.leaves(person.find("button[value=edit]").click)
    boxes = verdicts(server)[0][2]["boxes"]
    checks.equal("all is recorded", (len(boxes), boxes[-1]["label"], near(boxes[-1]["box"], (.01, .01, .06, .08))),
                 (len(before) + 1, "corner", True))
    # The buttons.
    for verdict in ("accept", "reject", "skip", "looked"):
        person.leaves(person.find(f".verdicts button[value={verdict}]").click)
        checks.equal(f"the button {verdict}", verdicts(server)[0][0], verdict)
    person.leaves(person.find("#undo button").click)
    checks.equal("the button undo", verdicts(server)[0][0], "undo")
    person.clean("review by mouse")


def without_scripts(checks, person, server):
    person.begin(TEXTS)
    person.leaves(person.find("button[value=accept]").click)
    checks.equal("without scripts: accept", verdicts(server)[0][0], "accept")
    person.find("#edit summary").click()
    person.find("#text").clear()
    person.find("#text").send_keys("written without a script")
    person.leaves(person.find("button[value=edit]").click)
    checks.equal("without scripts: edit", verdicts(server)[0][2], {"text": "written without a script"})
    person.leaves(person.find("#undo button").click)
    checks.equal("without scripts: undo", verdicts(server)[0][0], "undo")
    person.begin(BOXES)
    count = len(person.browser.find_elements("css selector", "#box-rows tr"))
    person.find("#edit summary").click()
    person.find("#box-rows tr input[name=gone]").click()
    person.leaves(person.find("button[value=edit]").click)
    checks.equal("without scripts: a box is deleted", len(verdicts(server)[0][2]["boxes"]), count - 1)


def at_once(checks, people, server):
    """Two people go through the same queue, one click after the other: nobody gets what the other one has."""
    for person in people:
        person.begin("task=vqa&batch=photos&policy=lowest")
    seen = []
    for turn in range(8):
        items = [person.item() for person in people]
        checks.equal(f"turn {turn}: two people, two items", len(set(items)), 2)
        seen += items
        for person in people:
            person.leaves(lambda: person.key("a" if turn % 2 else "x"))
    checks.equal("no item comes twice", len(set(seen)), len(seen))
    names = server.sql("select count(distinct reviewer) from gloss.review where task = 'vqa'")
    checks.equal("each under their name", int(names), 2)


def compare(checks, person):
    query = "batch=photos&left=paligemma-3b&right=paligemma-10b"
    person.open(f"/compare?{query}")
    tiles = [tile.text.split("\n")[0] for tile in person.browser.find_elements("css selector", ".tiles li")]
    checks.equal("counts stand at the top", len(tiles), 7)
    checks.equal("some differ", int(tiles[0].split()[0]) > 0, True)
    marks = person.browser.execute_script("return [...document.querySelectorAll('.alone text')].every(t => t.textContent.startsWith('≠ '))")
    checks.equal("boxes without a partner are told apart by a sign", marks, True)
    person.open(f"/compare?{query}&task=caption")
    checks.equal("words are compared", len(person.browser.find_elements("css selector", "ins")) > 0, True)
    person.leaves(person.find(".more-link a").click)
    checks.equal("there is a next page", "agreement=" in person.browser.current_url, True)
    person.open("/compare?with=truth&batch=photos")
    checks.equal("reviews are a truth to compare with", len(person.browser.find_elements("css selector", ".pair")) > 0, True)
    person.clean("compare")


def run(checks, server, chrome, start, shots):
    """start: begins a console with further options."""
    consoles = [start("--name", name) for name in ("ann", "bob")]
    people = [Person(checks, console, chrome) for console in consoles]
    by_keyboard(checks, people[0], server, shots)
    by_mouse(checks, people[1], server, shots)
    at_once(checks, people, server)
    compare(checks, people[0])
    plain = Person(checks, consoles[0], chrome, scripts=False)
    without_scripts(checks, plain, server)
    for person in [*people, plain]:
        person.browser.quit()
    for console in consoles:
        console.stop()
