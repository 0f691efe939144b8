// All that runs in the browser: times in the viewer's zone, the theme's button, live updates. Pages work without it.

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const precise = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/** Turns server-rendered UTC into the viewer's zone; UTC stays in the title. */
function localise(root) {
  for (const time of root.querySelectorAll("time[data-as]")) {
    const at = new Date(time.dateTime);
    if (time.dataset.as === "ago") time.title = `${precise.format(at)} · ${time.dataset.utc}`;
    else time.textContent = (time.dataset.as === "clock" ? clock : full).format(at);
  }
  for (const text of root.querySelectorAll("text[data-at]")) {
    text.lastChild.textContent = hour.format(new Date(text.dataset.at));
  }
}

/** Replaces the element with this id by a fragment from the server. Focus, scrolling and unfolded details stay. */
function swap(id, html) {
  const old = document.getElementById(id);
  if (old === null) return;
  const template = document.createElement("template");
  template.innerHTML = html;
  const next = template.content.firstElementChild;
  const reachable = "a, button, summary, input, select, textarea, [tabindex]";
  const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const scrolled = [...old.querySelectorAll(".scroll")].map(({ scrollLeft }) => scrollLeft);
  const open = [...old.querySelectorAll("details")].map((details) => details.open);
  localise(next);
  if (next.isEqualNode(old)) return;
  old.replaceWith(next);
  [...next.querySelectorAll("details")].forEach((details, i) => details.open = open[i] ?? false);
  [...next.querySelectorAll(".scroll")].forEach((element, i) => element.scrollLeft = scrolled[i] ?? 0);
  if (focused === null) return;
  const same = [...next.querySelectorAll(reachable)].find((element) => nameOf(element) === focused);
  // If the focused element is gone, its part gets the focus, and never another button.
  if (same === undefined) next.tabIndex = -1;
  (same ?? next).focus({ preventScroll: true });
}

/** Identifies a focusable element within its part, also after the part has changed. */
function nameOf(element) {
  const name = element.id || element.getAttribute("href") || element.getAttribute("aria-labelledby");
  return name || [element.form?.getAttribute("action"), element.name, element.textContent].join(" ");
}

const MAX_LINES = 5_000;

function append(html) {
  const log = document.getElementById("log");
  if (log === null) return;
  const following = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.insertAdjacentHTML("beforeend", html);
  localise(log);
  while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
  document.getElementById("log-empty")?.remove();
  if (following) log.scrollTop = log.scrollHeight;
}

/** Follows the page's events while it is visible. `after` is the last event that it has, for a new connection. */
function follow(main) {
  const sign = document.getElementById("live");
  let source = null;
  let after = main.dataset.after ?? "0";
  const showState = (state) => {
    sign.hidden = false;
    sign.dataset.state = state;
    sign.textContent = { live: "Live", lost: "Reconnecting…", over: "Up to date" }[state];
  };
  const open = () => {
    const url = new URL(main.dataset.live, location.href);
    url.searchParams.set("after", after);
    source = new EventSource(url);
    source.onopen = () => showState("live");
    source.onerror = () => {
      showState("lost");
      if (source.readyState === EventSource.CLOSED) setTimeout(retry, 5_000);
    };
    source.addEventListener("fragment", ({ data }) => {
      const { id, html } = JSON.parse(data);
      swap(id, html);
    });
    source.addEventListener("lines", (event) => {
      after = event.lastEventId;
      append(event.data);
    });
    source.addEventListener("end", () => {
      close();
      showState("over");
      over = true;
    });
  };
  let over = false;
  const close = () => {
    source?.close();
    source = null;
  };
  const reopen = () => {
    close();
    if (!document.hidden && !over) open();
  };
  /** If the session has ended, reloading the page leads to the login. */
  const retry = async () => {
    const options = { method: "HEAD", headers: { accept: "text/html" }, redirect: "manual" };
    const page = await fetch(location.href, options).catch(() => null);
    if (page?.type === "opaqueredirect") location.reload();
    else reopen();
  };
  document.addEventListener("visibilitychange", reopen);
  addEventListener("pagehide", close);
  open();
}

/** Switches between system, light and dark. */
function themeButton(button) {
  const root = document.documentElement;
  const show = () => {
    const now = root.dataset.theme ?? "system";
    button.hidden = false;
    button.textContent = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" }[now];
  };
  button.addEventListener("click", () => {
    const next = { system: "light", light: "dark", dark: "system" }[root.dataset.theme ?? "system"];
    if (next === "system") {
      delete root.dataset.theme;
      localStorage.removeItem("theme");
    } else localStorage.setItem("theme", root.dataset.theme = next);
    show();
  });
  show();
}

localise(document);
themeButton(document.getElementById("theme"));
const log = document.getElementById("log");
if (log !== null) log.scrollTop = log.scrollHeight;
const main = document.querySelector("main[data-live]");
if (main !== null) follow(main);
