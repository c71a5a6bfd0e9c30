"""A headless Chromium for the servers' pages, and what holds for every page of theirs."""

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

# What every page is held against, whatever checkers there are. Returns sentences about what is wrong.
CHECKS = r"""
const wrong = [];
const say = (words, element) => wrong.push(words + ": " + (element ? element.outerHTML.slice(0, 160) : ""));
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
if (!["ja", "en"].includes(document.documentElement.lang)) say("the page says no language");
if (!document.title.trim()) say("the page has no title");
for (const one of ["main", "body > header", "body > footer", "h1"])
  if (all(one).length !== 1) say(all(one).length + " of " + one);
let level = 0;
for (const heading of all("h1, h2, h3, h4")) {
  const now = Number(heading.tagName[1]);
  if (now > level + 1) say("a level of headings is left out", heading);
  level = now;
}
const ids = all("[id]").map((element) => element.id);
if (new Set(ids).size !== ids.length) say("an id stands twice: " + ids);
for (const name of ["aria-labelledby", "aria-describedby"])
  for (const element of all(`[${name}]`))
    for (const id of element.getAttribute(name).split(" "))
      if (!document.getElementById(id)) say(name + " leads nowhere", element);
for (const control of all("input:not([type=hidden]), select, textarea"))
  if (!control.labels.length || !control.labels[0].textContent.trim()) say("a field without a label", control);
for (const control of all("a[href], button, summary"))
  if (!(control.getAttribute("aria-label") || control.textContent).trim()) say("nothing to read out", control);
const names = all("nav").map((nav) => nav.getAttribute("aria-label"));
if (names.some((name) => !name) || new Set(names).size !== names.length) say("landmarks of one kind need names: " + names);
for (const table of all("table")) {
  if (!table.caption) say("a table without a caption", table);
  for (const th of table.querySelectorAll("th")) if (!th.scope) say("a head without scope", th);
}
for (const time of all("time")) if (isNaN(Date.parse(time.dateTime))) say("no time", time);
if (!document.querySelector("a.skip[href='#main']")) say("no way past the head");
// Contrast as WCAG 2.2 counts it, 7:1 for all text.
const numbers = (color) => color.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = numbers(getComputedStyle(at).backgroundColor);
    if (color.length < 4 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !shown(element) || element.closest(".unseen, script")) continue;
  const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 7) say("contrast " + ratio.toFixed(2), element);
}
// What is pressed is large enough (WCAG 2.2, 2.5.8), unless it stands in running text or in a table.
for (const control of all("button, input:not([type=hidden]), select, header a, summary")) {
  if (!shown(control)) continue;
  const box = control.getBoundingClientRect();
  if (box.height < 24 || box.width < 24) say("too small to press: " + box.width + "x" + box.height, control);
}
if (document.documentElement.scrollWidth > innerWidth) say("the page is " + (document.documentElement.scrollWidth - innerWidth) + " pixels too wide");
return wrong;
"""

RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def need(holds, words):
    if not holds:
        sys.exit(words)


class Browser:
    """Chromium at one server, and nowhere else."""

    def __init__(self, root, shots, axe, downloads=None):
        options = Options()
        for argument in [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]:
            options.add_argument(argument)
        options.binary_location = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.root, self.shots, self.checked = root, pathlib.Path(shots), 0
        axe = pathlib.Path(axe)
        self.axe = axe.read_text(encoding="utf-8") if axe.exists() else None
        if downloads:
            self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def width(self, pixels, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=scale, mobile=False)

    def scheme(self, name):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def language(self, tag):
        self.cdp("Emulation.setUserAgentOverride", userAgent=self.script("return navigator.userAgent"), acceptLanguage=tag)

    def open(self, path):
        self.driver.get(self.root + path)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        found = self.all(selector)
        need(found, f"{self.driver.current_url}: there is no {selector}")
        return found[0]

    def text(self):
        return self.one("body").text

    def until(self, holds, words, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if holds():
                    return
            except (Exception, SystemExit):  # the page is just changing
                pass
            time.sleep(0.05)
        self.shot("failed")
        need(False, f"{self.driver.current_url}: {words}")

    def shot(self, name):
        self.driver.save_screenshot(str(self.shots / f"{name}.png"))

    # The keyboard alone.

    def press(self, *keys):
        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def focused(self):
        return self.script(
            "const e = document.activeElement; return e === document.body ? null : (e.id || e.getAttribute('href') || e.textContent.trim())"
        )

    def tab_to(self, wanted, most=80):
        """Presses Tab until `wanted`, an id, a link's target or a button's words, has the focus."""
        for _ in range(most):
            self.press(Keys.TAB)
            if self.focused() == wanted:
                return
        need(False, f"{self.driver.current_url}: Tab does not lead to {wanted}")

    def walk(self):
        """Every control is reached by Tab, in the order in which it stands, and is seen to have the focus."""
        self.script("scrollTo(0, 0); document.activeElement.blur(); getSelection().removeAllRanges()")
        wanted = self.script(
            "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')]"
            ".filter((e) => e.checkVisibility({visibilityProperty: true})).map((e, i) => { e.dataset.at = i; return i })"
        )
        seen = []
        for _ in range(len(wanted) * 5 + 20):
            self.press(Keys.TAB)
            at, outline = self.script(
                "const e = document.activeElement; const s = getComputedStyle(e);"
                "return [e.dataset.at === undefined ? null : Number(e.dataset.at), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2]"
            )
            # Outside the page, or at a field that has several stops, as dates have.
            if at is None or (seen and seen[-1] == at):
                continue
            if at in seen:
                break
            need(outline, f"{self.driver.current_url}: the focus on control {at} is not seen")
            seen.append(at)
        # It goes on from where somebody was before.
        first = seen.index(0) if 0 in seen else 0
        seen = seen[first:] + seen[:first]
        need(seen == wanted, f"{self.driver.current_url}: Tab goes {seen} and not through all of {wanted}")

    # What holds for every page.

    def check(self, name, walk=True):
        for pixels, scale in [(1280, 1), (640, 2), (320, 1)]:
            self.width(pixels, scale)
            for scheme in ["light", "dark"]:
                self.scheme(scheme)
                said = self.script(CHECKS)
                need(not said, f"{name} at {pixels}, {scheme}: " + "\n".join(said))
                if pixels != 640:
                    self.axe_check(f"{name} at {pixels}, {scheme}")
                    if scheme == "light" or pixels == 1280:
                        self.shot(f"{name}-{pixels}-{scheme}")
                self.checked += 1
        self.scheme("light")
        self.width(1280)
        if walk:
            self.walk()

    def axe_check(self, name):
        if self.axe is None:
            return
        self.script(self.axe + "; window.axe = axe;")
        # Contrast is to be 7:1, of which axe makes an option.
        found = self.driver.execute_async_script(
            "const done = arguments[1];"
            "axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}, rules: {'color-contrast-enhanced': {enabled: true}}})"
            ".then((r) => done(r.violations.map((v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html).slice(0, 3))), (e) => done([String(e)]))",
            RULES,
        )
        need(not found, f"axe finds in {name}: " + "\n".join(found))

    def quiet(self, allowed=()):
        """Nothing was asked from elsewhere, and no page complained of anything but what was meant to fail."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                need(url.startswith((self.root + "/", "data:", "chrome:", "about:")), f"a page asks for {url}")
        said = [entry["message"] for entry in self.driver.get_log("browser")]
        said = [words for words in said if not any(part in words for part in allowed)]
        need(not said, f"the console says {said}")
