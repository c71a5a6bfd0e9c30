"""Walks through the history's pages; run by history-page.sh."""

import base64
import hashlib
import json
import pathlib
import smtplib
import subprocess
import sys
import tempfile
import urllib.request

from selenium.webdriver.common.keys import Keys

from page_checks import Browser, need

root, administration, smtp, shots, server, axe = sys.argv[1:]
TARO, HANAKO = "taro@a.example", "hanako@b.example"
HOSTILE = "\"><script>document.title='owned'</script>@b.example"


def register(event, name, sender, recipient, evidence=b"", minute=0):
    """As an adapter does."""
    at = f"2026-11-27T15:{minute:02}:00Z"
    record = {
        "event": event, "message_id": f"<{name}>", "sender": sender, "recipient": recipient, "sent": at, "at": at,
        "content_digest": hashlib.sha256(name.encode()).hexdigest(), "evidence_digest": hashlib.sha256(evidence).hexdigest(),
        "evidence": base64.b64encode(evidence).decode(),
    }
    request = urllib.request.Request(root + "/records", json.dumps(record).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        need(answer.status == 201, f"a record was answered {answer.status}")


def life(name, recipient=HANAKO, sender=TARO, end="retrieval"):
    for minute, event in enumerate(["submission", "relay", "delivery"]):
        register(event, name, sender, recipient, minute=minute)
    if end:
        register(end, name, sender, recipient, b"Content-Type: multipart/signed\r\n\r\nsigned", minute=30)


life("one@a.example")
life("overdue@a.example", end="overdue")
life("failed@a.example", end="non-delivery")
life("refused@a.example", end="refusal")
life("hostile<script>@a.example", recipient=HOSTILE)
life("others@c.example", sender="jiro@c.example", recipient="saburo@d.example")
for number in range(60):
    register("retrieval", f"{number}@a.example", TARO, f"somebody-{number}@a-rather-long-name-of-an-office.example", b"x")
register("submission", "waiting@a.example", TARO, HANAKO)

downloads = pathlib.Path(tempfile.mkdtemp())
browser = Browser(root, shots, axe, downloads)


def sign_in(who, words):
    """Without a mouse."""
    browser.open("/")
    need("/sign-in" in browser.driver.current_url, "whoever is not signed in is asked to")
    browser.tab_to("user")
    browser.press(who, Keys.TAB, "correct horse", Keys.ENTER)
    browser.until(lambda: words in browser.text(), f"{who} is signed in")


try:
    for tag, title, waiting, words in [("ja", "送信履歴", "待機中", "サインアウト"), ("en", "Transmissions", "waiting", "Sign out")]:
        browser.language(tag)
        browser.open("/")
        need(browser.one("html").get_attribute("lang") == tag, f"the browser wants {tag}")
        browser.check(f"sign-in-{tag}")
        browser.tab_to("user")
        browser.press(TARO, Keys.TAB, "wrong guess", Keys.ENTER)
        browser.until(lambda: browser.all("[role=alert]"), "a wrong password is told")
        browser.check(f"sign-in-wrong-{tag}")
        sign_in(TARO, title)
        browser.check(f"list-{tag}")
        headings = [heading.text for heading in browser.all("h2")]
        need(len(headings) == 3 and waiting in headings[1], f"overdue, waiting, newest: {headings}")
        need("saburo" not in browser.driver.page_source, "others' transmissions are not Taro's to see")
        need(browser.driver.title != "owned", "what strangers write stays text")
        # The skip link leads past the head, by keyboard.
        browser.script("document.activeElement.blur(); scrollTo(0, 0)")
        browser.open("/")
        browser.press(Keys.TAB, Keys.ENTER)
        browser.until(lambda: browser.focused() == "main", "the skip link leads to the content")
        # Paging.
        older = browser.all("#live section:last-child > p a")[-1]
        older.send_keys(Keys.ENTER)
        browser.until(lambda: "before=" in browser.driver.current_url, "there are older ones")
        need(0 < len(browser.all("tbody tr")) < 50, "the rest of them")
        # Search by state and person, by keyboard.
        browser.open("/")
        browser.tab_to("party")
        browser.press(HANAKO)
        browser.tab_to("state")
        # "refused", by its letter or by arrows.
        browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
        browser.tab_to("検索" if tag == "ja" else "Search")
        browser.press(Keys.ENTER)
        browser.until(lambda: "state=refused" in browser.driver.current_url, "the form is sent")
        need(len(browser.all("tbody tr")) == 1, "one was refused")
        need(browser.one("#party").get_attribute("value") == HANAKO, "the form keeps what was typed")
        browser.check(f"found-{tag}", walk=False)
        browser.open("/?party=nonsense&from=2026-13-45&state=none&before=x")
        browser.check(f"wrong-search-{tag}", walk=False)
        # One transmission and its proof.
        browser.open("/")
        first = browser.one("tbody a").get_attribute("href").removeprefix(root)
        browser.tab_to(first)
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.driver.current_url.endswith(first), "a row leads to its transmission")
        browser.open("/transmissions/0")
        need(len(browser.all(".timeline > li")) == 4, "four events of one transmission")
        browser.check(f"transmission-{tag}")
        browser.tab_to("検証する" if tag == "ja" else "Verify")
        browser.press(Keys.ENTER)
        browser.until(lambda: browser.all(".good"), "the proof holds")
        for fold in browser.all("details"):
            fold.find_element("css selector", "summary").send_keys(Keys.ENTER)
        need(len(browser.all("details table tbody tr")) >= 4, "the way to the root is shown")
        browser.check(f"proof-{tag}")
        for path in ["/transmissions/20/proof/none", "/transmissions/999999"]:
            browser.open(path)
        browser.check(f"not-found-{tag}")
        # In a transmission of somebody else's nothing is to be seen.
        browser.open("/?message_id=others%40c.example")
        need(not browser.all("tbody tr"), "others' mails are not found")
        # The other language, and back.
        browser.open("/transmissions/0")
        other = {"ja": "en", "en": "ja"}[tag]
        browser.one(f"nav a[hreflang={other}]").send_keys(Keys.ENTER)
        browser.until(lambda: browser.one("html").get_attribute("lang") == other, "the language changes")
        need(browser.driver.current_url.endswith("/transmissions/0"), "and the page stays")
        browser.driver.delete_cookie("sealfax-language")
        browser.open("/")
        browser.tab_to(words)
        browser.press(Keys.ENTER)
        browser.until(lambda: "/sign-in" in browser.driver.current_url, "signed out")
        browser.driver.back()
        browser.until(lambda: "/sign-in" in browser.driver.current_url or "saburo" not in browser.text(), "nothing is kept")

    # A third party does what the page says, with what it gives out.
    sign_in(TARO, "Transmissions")
    browser.open("/transmissions/0/proof")
    command = [code.text for code in browser.all("pre code") if code.text.startswith("sealfax-mailserver")][0]
    for link in browser.all("a[download$='.json']"):
        link.send_keys(Keys.ENTER)
    browser.until(lambda: len(list(downloads.glob("receipt-*.json"))) == 4, "four receipts are there")
    checked = subprocess.run(
        command.replace("sealfax-mailserver", f"'{server}'", 1), shell=True, cwd=downloads, capture_output=True, text=True, check=False
    )
    need(checked.returncode == 0 and checked.stdout.count("proven") == 4, f"{command}: {checked.stdout}{checked.stderr}")

    # Live: a row that comes, without the page being fetched anew, and the focus stays where it was.
    browser.open("/")
    browser.script("window.here = true")
    link = browser.all("tbody a")[0]
    link_to = link.get_attribute("href")
    browser.script("arguments[0].focus()", link)
    register("submission", "live@a.example", TARO, "live@b.example")
    browser.until(lambda: "live@b.example" in browser.text(), "what is new comes by itself", seconds=30)
    need(browser.script("return window.here === true"), "the page was not fetched anew")
    need(browser.one("#status").text, "and it is said to who does not see it")
    need(browser.script("return document.activeElement.href") == link_to, "whoever is on a link stays there")
    browser.quiet(allowed=["401 (Unauthorized)", "404 (Not Found)", "400 (Bad Request)"])

    # Auditors see all.
    browser.driver.delete_all_cookies()
    browser.language("en")
    sign_in("auditor@a.example", "Transmissions")
    browser.open("/?party=%40d.example")
    need(len(browser.all("tbody tr")) == 1, "the auditor finds others' transmissions")

    # All of it without script.
    browser.driver.delete_all_cookies()
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    sign_in(TARO, "Transmissions")
    browser.open("/transmissions/0")
    browser.one("form[action$=proof] button").click()
    browser.until(lambda: "Every record is proven" in browser.text(), "a proof without script")
    browser.open("/")
    browser.one("a[href='/']").click()
    browser.one(".who button").click()
    browser.until(lambda: "/sign-in" in browser.driver.current_url, "signed out without script")
    browser.quiet(allowed=["401 (Unauthorized)", "404 (Not Found)", "400 (Bad Request)"])

    # The administrator's page of the mail server.
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    browser.root = administration
    host, port = smtp.rsplit(":", 1)
    with smtplib.SMTP(host, int(port)) as mail:
        mail.sendmail(TARO, ["x@unreachable.example"], "Subject: x\r\n\r\nx\r\n")
        mail.sendmail("jiro@c.example", [TARO], "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n\r\nx\r\n")
    for tag, suspended, open_ in [("ja", "停止中", "有効"), ("en", "suspended", "open")]:
        browser.language(tag)
        sign_in("auditor@a.example", TARO)
        need(len(browser.all("table")) == 4, "accounts, adapters, queue and notices have tables")
        browser.check(f"administration-{tag}")
        row = lambda: next(row.text for row in browser.all("tr:has([action='/suspend'])") if TARO in row.text)
        button = lambda: next(b for b in browser.all("[action='/suspend'] button") if b.text.endswith(TARO))
        for word in [suspended, open_]:
            button().send_keys(Keys.ENTER)
            browser.until(lambda: word in row(), f"the account becomes {word}")
        browser.one(".who button").send_keys(Keys.ENTER)
        browser.until(lambda: "/sign-in" in browser.driver.current_url, "signed out")
    browser.driver.delete_all_cookies()
    browser.open("/sign-in")
    browser.tab_to("user")
    browser.press(TARO, Keys.TAB, "correct horse", Keys.ENTER)
    browser.until(lambda: browser.all("[role=alert]"), "others do not administrate")
    browser.quiet(allowed=["401 (Unauthorized)"])
    print(f"{browser.checked} pages checked, {'with' if browser.axe else 'without'} axe")
finally:
    browser.driver.quit()
