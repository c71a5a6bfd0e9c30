// Looks anew when the server says that there is something new. Everything works without it.
"use strict";
(() => {
  const live = document.getElementById("live");
  const status = document.getElementById("status");
  if (!live || !status || !window.EventSource) return;
  let source = null, due = false, running = false, seen = live.dataset.seen;

  const refresh = async () => {
    if (running) { due = true; return; }
    running = true;
    due = false;
    try {
      const answer = await fetch(location.href, { headers: { "sealfax-refresh": "1" }, cache: "no-store" });
      // The session is over, or the thing is gone: the page itself says so.
      if (answer.redirected || !answer.ok) { location.reload(); return; }
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (next) seen = next.dataset.seen;
      if (next && next.innerHTML !== live.innerHTML) {
        // Whoever is on a link stays on it.
        const at = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
        live.replaceChildren(...next.childNodes);
        const again = at && [...live.querySelectorAll("a")].find((link) => link.getAttribute("href") === at);
        if (again) again.focus({ preventScroll: true });
        status.textContent = status.dataset.news + " " + new Date().toLocaleTimeString(document.documentElement.lang);
      }
    } catch {
      // The server is away; the next word from it comes when it is back.
    } finally {
      running = false;
      if (due) setTimeout(refresh, 2000);
    }
  };
  const listen = () => {
    if (document.hidden) {
      if (source) source.close();
      source = null;
    } else if (!source) {
      // What came since the page was made is news as well.
      source = new EventSource("/events?seen=" + seen);
      source.addEventListener("news", refresh);
    }
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !source) refresh();
    listen();
  });
  listen();
})();
