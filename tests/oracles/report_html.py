"""Clicks through reports in a headless Chromium; run by report-html.sh."""

import json
import os
import pathlib
import sys
import time

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

VERDICTS = {"pass", "fail", "flaky", "infra-error", "unsupported"}


def fail(words):
    sys.exit(words)


def need(holds, words):
    if not holds:
        fail(words)


def browser():
    options = Options()
    for argument in [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1100",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        # Whatever asks for a name gets none.
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ]:
        options.add_argument(argument)
    options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)


class Page:
    """One report, opened."""

    def __init__(self, driver, path, shots, name):
        self.driver, self.path, self.shots, self.name = driver, path, shots, name
        self.wait = WebDriverWait(driver, 20)
        driver.get(path.as_uri())
        timing = driver.execute_script(
            "const t = performance.getEntriesByType('navigation')[0];"
            "return [t.domContentLoadedEventEnd, t.loadEventEnd, (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime]"
        )
        self.timing = [round(milliseconds or 0) for milliseconds in timing]

    def all(self, selector, within=None):
        return (within or self.driver).find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector, within=None):
        found = self.all(selector, within)
        need(found, f"{self.path}: there is no {selector}")
        return found[0]

    def shown(self, selector, within=None):
        return [element for element in self.all(selector, within) if element.is_displayed()]

    def until(self, holds, words):
        try:
            return self.wait.until(lambda _: holds())
        except Exception:
            self.shot("failed")
            fail(f"{self.path}: {words}")

    def shot(self, words):
        self.driver.save_screenshot(str(self.shots / f"{self.name}-{words}.png"))

    def see(self, element):
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        return element

    def open(self, scenario):
        """Opens a scenario by a click on its line."""
        if not scenario.get_attribute("open"):
            self.see(self.one("summary", scenario)).click()
        self.until(lambda: self.all(".plot [data-i]", scenario), "a scenario that is opened has a timeline with marks in it")

    # What follows is what a person does.

    def timeline(self, scenario):
        plot = self.see(self.one(".plot", scenario))
        view = lambda: (int(plot.get_attribute("data-from")), int(plot.get_attribute("data-to")))
        whole = view()
        need(whole[1] > whole[0], "the timeline has no length")
        labels = {label.text.lower() for label in self.all(".labels span", scenario)}
        for lane in ["fax machine", "screen", "lamp", "buzzer", "card", "adapter"]:
            need(lane in labels, f"{self.path}: the timeline has no lane {lane}: {labels}")
        need(self.all(".plot .wave.lamp", scenario) and self.all(".plot .wave.buzzer", scenario), "lamp and buzzer are waves")

        def narrower(before, words):
            self.until(lambda: view()[1] - view()[0] < before[1] - before[0], words)
            return view()

        self.one(".zoom-in", scenario).click()
        near = narrower(whole, "the button zooms the timeline in")
        # By the wheel, once one has clicked into it; what is under the pointer stays there.
        box = plot.rect
        ActionChains(self.driver).move_to_element_with_offset(plot, int(box["width"] * 0.2), -int(box["height"] / 2) + 8).click().perform()
        self.driver.execute_script(
            "const [plot] = arguments; const box = plot.getBoundingClientRect();"
            "plot.dispatchEvent(new WheelEvent('wheel', {deltaY: -400, clientX: box.left + box.width * 0.7, clientY: box.top + 30, bubbles: true, cancelable: true}))",
            plot,
        )
        nearer = narrower(near, "the wheel zooms the timeline in")
        need(plot == self.driver.switch_to.active_element, "the timeline takes the keyboard once it is clicked")
        plot.send_keys("+")
        nearest = narrower(nearer, "the key + zooms the timeline in")
        plot.send_keys(Keys.ARROW_RIGHT)
        self.until(lambda: view()[0] > nearest[0], "the right arrow moves the timeline")
        moved = view()
        ActionChains(self.driver).move_to_element_with_offset(plot, 0, -int(box["height"] / 2) + 8).click_and_hold().move_by_offset(120, 0).release().perform()
        self.until(lambda: view()[0] < moved[0], "dragging moves the timeline")
        self.shot("timeline-zoomed")
        plot.send_keys("0")
        self.until(lambda: view() == whole, "the key 0 shows all again")
        plot.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        self.until(lambda: self.one(".readout", scenario).text, "the arrows tell event after event")
        index = self.driver.execute_script(
            "const mark = arguments[0].querySelector('.mark.step'); const index = mark.dataset.i;"
            "for (const name of ['pointerdown', 'pointerup', 'click']) mark.dispatchEvent(new PointerEvent(name, {bubbles: true}));"
            "return index",
            plot,
        )
        self.until(lambda: "flash" in (self.one(f'.story tr[data-i="{index}"]', scenario).get_attribute("class") or ""), "a mark leads to its row in the story")

    def screens(self, scenario, pictures):
        shots = self.all(".saw .shot", scenario)
        need(shots, f"{self.path}: no screen is shown")
        if pictures:
            images = self.all(".saw .shot img", scenario)
            need(images, f"{self.path}: the screens are no pictures")
            self.until(lambda: self.driver.execute_script("return arguments[0].complete && arguments[0].naturalWidth", self.see(images[0])), "the pictures are drawn")
        self.see(shots[0])
        self.shot("screens")
        shots[0].click()
        self.until(lambda: self.shown("#lightbox"), "a click enlarges a screen")
        if pictures:
            width = self.one("#lightbox .pic").rect["width"]
            need(width > 600, f"the enlarged screen is {width} wide")
        first = self.one("#lightbox .caption").text
        ActionChains(self.driver).send_keys(Keys.ARROW_RIGHT).perform()
        if len(shots) > 1:
            self.until(lambda: self.one("#lightbox .caption").text != first, "the right arrow turns to the next screen")
        self.shot("screen-enlarged")
        ActionChains(self.driver).send_keys(Keys.ESCAPE).perform()
        self.until(lambda: not self.shown("#lightbox"), "Escape closes the picture")

    def story(self, scenario):
        rows = lambda: len(self.shown(".story tr", scenario))
        before = rows()
        need(before > 10, "the story has rows")
        find = self.see(self.one(".find", scenario))
        find.send_keys("card")
        self.until(lambda: 0 < rows() < before, "words filter the story")
        find.send_keys(Keys.CONTROL, "a")
        find.send_keys(Keys.DELETE)
        box = self.one('.filters input[value="adapter"]', scenario)
        box.click()
        self.until(lambda: rows() < before, "a lane can be put away")
        box.click()
        self.shot("story")

    def mails(self, scenario):
        folds = self.all(".fold.mail", scenario)
        need(len(folds) >= 5, f"{self.path}: only {len(folds)} mails")
        for fold in folds:
            need(not fold.get_attribute("open"), "mails are folded at first")
        sealed = next((fold for fold in folds if "2-sealed" in fold.text), None)
        need(sealed is not None, "the sealed mail is among them")
        self.see(self.one("summary", sealed)).click()
        self.until(lambda: self.shown(".source", sealed), "a click opens a mail")
        text = sealed.text
        for words in ["From", "Message-ID", "application/pkcs7-mime", "lines of base64"]:
            need(words in text, f"the opened mail does not say {words}")
        self.see(sealed)
        self.shot("mail")
        links = [link.get_attribute("href") for link in self.all("a", sealed)]
        need(any(pathlib.Path(link.removeprefix("file://")).exists() for link in links), f"the mail's file is where its link leads: {links}")

    def wires(self, scenario):
        self.see(self.one(".fold.wires > summary", scenario)).click()
        dialogue = self.one(".fold.wire", scenario)
        self.one("summary", dialogue).click()
        self.until(lambda: self.shown(".lines td", dialogue), "a dialogue on the wires opens")
        self.shot("wires")

    def requirements(self):
        rows = self.all(".requirements tbody tr")
        need(len(rows) >= 90, f"only {len(rows)} requirements")
        for row in rows:
            cells = self.driver.execute_script("return [...arguments[0].cells].map((cell) => cell.textContent.trim())", row)
            need(len(cells) == 4 and all(cells), f"{self.path}: the requirement table has a gap: {cells}")
            need(cells[0].split(" ", 1)[1] in VERDICTS | {"not exercised"}, f"an unknown verdict: {cells[0]}")
        self.see(self.one("#requirements h2"))
        self.shot("requirements")
        return {row.get_attribute("id"): row for row in rows}

    def environment(self):
        hashes = [row.text for row in self.all("#environment tr") if "sha256" in row.text]
        need(any(len(row.split()[-1]) == 64 for row in hashes), f"{self.path}: no hash of a program: {hashes}")

    def quiet(self):
        """Nothing was asked from anywhere, and the page complained of nothing."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                own = url == self.path.as_uri() or url.startswith((self.path.as_uri() + "#", "blob:", "data:", "chrome:"))
                need(own, f"{self.path} asks for {url}")
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        need(not said, f"{self.path}: the console says {said}")


def demonstration(page):
    page.shot("top")
    (scenario,) = page.all(".scenario")
    page.open(scenario)
    page.see(page.one(".timeline", scenario))
    page.shot("timeline")
    page.timeline(scenario)
    page.screens(scenario, pictures=True)
    page.story(scenario)
    page.mails(scenario)
    page.wires(scenario)
    page.requirements()
    page.environment()
    # A step's number leads to its requirement.
    link = page.one('.story a[href="#r-ST605"]', scenario)
    page.driver.execute_script("arguments[0].click()", link)
    page.until(lambda: page.driver.current_url.endswith("#r-ST605"), "a step leads to its requirement")
    # Dark, and on a telephone.
    page.see(page.one("#theme"))
    paper = lambda: page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = paper()
    page.driver.execute_script("arguments[0].click()", page.one("#theme"))
    page.until(lambda: paper() != light, "there is a dark page")
    page.driver.execute_script("scrollTo({top: 0, behavior: 'instant'})")
    page.shot("dark")
    page.driver.set_window_size(500, 1000)
    time.sleep(0.3)
    page.shot("narrow")
    wide = page.driver.execute_script("return document.documentElement.scrollWidth - innerWidth")
    need(wide <= 0, f"on a narrow screen the page is {wide} pixels too wide")
    page.see(page.one(".timeline"))
    page.shot("narrow-timeline")
    page.driver.set_window_size(1400, 1100)


def every_verdict(page):
    page.shot("top")
    scenarios = page.all(".scenario")
    need(len(scenarios) == 200, f"{len(scenarios)} scenarios instead of 200")
    need({scenario.get_attribute("data-v") for scenario in scenarios} == VERDICTS, "every verdict is there")
    # A sign and a word, never colour alone.
    signs = {tuple(badge.text.split()) for badge in page.all(".scenario .badge") if badge.text}
    need(len({sign for sign, _ in signs}) == len({word for _, word in signs}) == len(VERDICTS), f"verdicts without a sign of their own: {signs}")
    need(scenarios[0].get_attribute("data-v") == "fail", "what failed comes first")
    need("the lamp of office B <b>\"lit\"</b>" in scenarios[0].text, "and says why, as it was said")
    visible = lambda: len(page.shown(".scenario"))
    page.one(".count.fail").click()
    page.until(lambda: visible() == 1, "the count of failures shows what failed alone")
    page.one(".count.flaky").click()
    page.until(lambda: visible() == 2, "and another one with it")
    page.shot("filtered")
    page.one(".count.fail").click()
    page.one(".count.flaky").click()
    page.until(lambda: visible() == 200, "and nothing pressed is everything")
    ActionChains(page.driver).send_keys("/").perform()
    search = page.driver.switch_to.active_element
    search.send_keys("wrong-pin 43")
    page.until(lambda: 0 < visible() < 10, "words filter the scenarios")
    for _ in range(12):
        search.send_keys(Keys.BACKSPACE)
    page.until(lambda: visible() == 200, "and without words all are there")
    order = page.one("#sort")
    order.send_keys("by name")
    page.until(lambda: page.all(".scenario")[0].get_attribute("id") == "s-confidential-fax-0", "they can be ordered by name")
    requirements = page.requirements()
    more = page.one("button.more", requirements["r-ST605"])
    page.see(more).click()
    page.until(lambda: len(page.all("a", page.one("#r-ST605"))) > 50, "a requirement names all its scenarios when asked")
    page.driver.execute_script("location.hash = 's-confidential-fax-150'")
    page.until(lambda: page.all("#s-confidential-fax-150 .plot [data-i]"), "a link opens its scenario")
    began = time.monotonic()
    page.open(page.one("#s-confidential-fax-100"))
    page.opening = time.monotonic() - began
    page.environment()


def the_suite(page):
    page.shot("top")
    scenarios = page.all(".scenario")
    need(len(scenarios) > 20, f"only {len(scenarios)} scenarios")
    chosen = page.one("#s-wrong-card")
    page.open(chosen)
    page.timeline(chosen)
    page.screens(chosen, pictures=bool(page.all(".saw .shot img", chosen)))
    page.see(page.one(".timeline", chosen))
    page.shot("timeline")
    requirements = page.requirements()
    need(len(requirements) >= 90, "the table has every requirement")
    page.environment()


shots, demo, many, *suite = (pathlib.Path(path).resolve() for path in sys.argv[1:])
driver = browser()
try:
    told = []
    stories = [("demo", demo, demonstration), ("many", many, every_verdict)] + [("suite", path, the_suite) for path in suite]
    for name, path, play in stories:
        need(path.exists(), f"there is no {path}")
        page = Page(driver, path, shots, name)
        play(page)
        page.quiet()
        ready, loaded, painted = page.timing
        told.append(f"{name}: {path.stat().st_size / 1e6:.2f} MB, painted after {painted} ms, ready after {ready} ms, loaded after {loaded} ms")
    print("; ".join(told))
finally:
    driver.quit()
