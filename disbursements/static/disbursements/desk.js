"use strict";
// Progressive enhancement only: every page works without this file.
(() => {
  const EVERY = 15_000;
  const IDLE_AFTER = 30 * 60_000;
  const byId = (id) => document.getElementById(id);
  const show = (element) => { if (element) element.hidden = false; };

  // Ages
  const age = (seconds) => {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")} m`;
    return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
  };
  const tickAges = () => document.querySelectorAll("[data-age]").forEach((time) => {
    time.textContent = age((Date.now() - Date.parse(time.dateTime)) / 1000);
  });

  // Copy buttons and print
  document.querySelectorAll(".copy-button").forEach(show);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy-button");
    if (!button || !navigator.clipboard) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  });
  const print = byId("print");
  show(print);
  print?.addEventListener("click", () => window.print());

  // The account menu closes on Escape and on a click elsewhere.
  const who = document.querySelector(".who");
  document.addEventListener("click", (event) => { if (who && !who.contains(event.target)) who.open = false; });
  who?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    who.open = false;
    who.querySelector("summary").focus();
  });

  // Filters: a choice applies at once; the dates of a custom range only with the button.
  const filters = byId("filters");
  filters?.addEventListener("change", (event) => {
    if (event.target.id === "when") {
      byId("dates").classList.toggle("f-dates-off", !event.target.value);
      byId("dates").classList.toggle("f-dates-custom", event.target.value === "custom");
      if (event.target.value === "custom") { byId("from").focus(); return; }
    }
    if (event.target.id === "partner") byId("product").value = "";
    if (event.target.matches("select")) filters.requestSubmit();
  });
  filters?.addEventListener("submit", () => {
    const custom = byId("when").value === "custom";
    for (const field of filters.elements) {
      const day = field.name === "from" || field.name === "to";
      if (field.name && (!field.value || (day && !custom) || (field.name === "on" && (!byId("when").value || field.value === "created")))) field.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    for (const field of filters?.elements ?? []) field.disabled = false;
  });

  // Live refresh
  const table = byId("loans");
  const live = byId("live");
  let on = true;
  let touched = Date.now();
  let good = byId("updated")?.textContent.replace("Updated ", "");
  const say = (text) => { byId("said").textContent = text; };
  const since = () => [...table.tBodies[0].rows].map((row) => `${row.id.slice(5)}.${row.dataset.v}`).join("-");

  const swap = (id, html) => {
    const old = byId(`loan-${id}`);
    if (!old) return;
    const held = document.createElement("tbody");
    held.innerHTML = html;
    const row = held.rows[0];
    const focused = old.contains(document.activeElement);
    row.classList.add("changed");
    old.replaceWith(row);
    if (focused) row.querySelector("a").focus({ preventScroll: true });
  };
  const swapSummary = (html) => {
    const cards = [...byId("summary").querySelectorAll("a")];
    const focused = cards.indexOf(document.activeElement);
    byId("summary").innerHTML = html;
    if (focused >= 0) byId("summary").querySelectorAll("a")[focused].focus({ preventScroll: true });
  };
  const apply = (news) => {
    const ids = Object.keys(news.rows);
    ids.forEach((id) => swap(id, news.rows[id]));
    swapSummary(news.summary);
    if (!byId("banners").contains(document.activeElement)) byId("banners").innerHTML = news.banners;
    byId("updated").textContent = `Updated ${news.updated}`;
    if (byId("polled")) byId("polled").textContent = news.polled;
    byId("moved").hidden = !news.moved;
    byId("sheet").classList.remove("stale");
    good = news.updated;
    if (ids.length) say(`${ids.length} ${ids.length === 1 ? "loan" : "loans"} changed`);
    tickAges();
  };
  const couldNot = (text) => {
    byId("updated").textContent = text;
    byId("sheet").classList.add("stale");
    say(text);
  };
  const refresh = async () => {
    const address = new URL(table.dataset.changes, location.href);
    if (table.dataset.after) address.searchParams.set("after", table.dataset.after);
    address.searchParams.set("since", since());
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 401) { couldNot("You are signed out. Refresh to sign in."); setLive(false); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      apply(await answer.json());
    } catch {
      couldNot(`Could not refresh since ${good}. Retrying in 15 s.`);
    }
  };
  const setLive = (wanted) => {
    on = wanted;
    live.setAttribute("aria-pressed", String(on));
    byId("live-word").textContent = on ? "Live" : "Paused";
  };
  const turn = () => {
    tickAges();
    if (Date.now() - touched > IDLE_AFTER && on) setLive(false);
    const busy = document.hidden || document.querySelector("dialog[open], .who[open]");
    if (on && !busy) refresh();
  };
  if (table && live) {
    show(live);
    live.addEventListener("click", () => { setLive(!on); if (on) refresh(); });
    for (const kind of ["pointermove", "keydown", "scroll"]) {
      document.addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
    }
    document.addEventListener("visibilitychange", () => { if (!document.hidden && on) refresh(); });
    setInterval(turn, EVERY);
  }

  // Keys. None of them pays money.
  const help = byId("help");
  const keysOn = byId("keys-on");
  const STORE = "loanpoll-keys-off";
  if (!help) return;
  show(byId("help-open"));
  byId("help-open").addEventListener("click", () => help.showModal());
  keysOn.checked = !localStorage.getItem(STORE);
  keysOn.addEventListener("change", () => {
    if (keysOn.checked) localStorage.removeItem(STORE); else localStorage.setItem(STORE, "1");
  });
  const step = (by) => {
    const links = [...document.querySelectorAll("#loans tbody th a")];
    const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  };
  const rooms = document.querySelectorAll(".rooms a");
  let goTo = false;
  const keys = {
    "/": () => byId("q").focus(),
    j: () => step(1),
    k: () => step(-1),
    r: () => live?.click(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
    if (goTo && (event.key === "l" || event.key === "p")) { rooms[event.key === "l" ? 0 : 1].click(); return; }
    goTo = event.key === "g";
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
