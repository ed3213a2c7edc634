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
    if (event.target.id === "partner" && byId("product")) byId("product").value = "";
    if (event.target.matches("select")) filters.requestSubmit();
  });
  // The statuses apply when their list closes, so that several can be chosen.
  const statuses = byId("status");
  const chosen = () => [...statuses.querySelectorAll(":checked")].map((box) => box.value).join();
  const before = statuses && chosen();
  statuses?.addEventListener("toggle", () => { if (!statuses.open && chosen() !== before) filters.requestSubmit(); });
  document.addEventListener("click", (event) => {
    document.querySelectorAll(".multi[open], .views-edit[open]").forEach((one) => { if (!one.contains(event.target)) one.open = false; });
  });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && event.target.closest(".multi[open], .views-edit[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
  filters?.addEventListener("submit", () => {
    const custom = byId("when")?.value === "custom";
    for (const field of filters.elements) {
      const day = field.name === "from" || field.name === "to";
      if (field.name && (!field.value || (day && !custom) || (field.name === "on" && (!byId("when")?.value || field.value === "created")))) field.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    for (const field of filters?.elements ?? []) field.disabled = false;
  });

  // Selecting rows: the bar says how many and how much, and keeps away until something is selected.
  const bulk = byId("bulk");
  const boxes = () => [...document.querySelectorAll("#loans tbody .c-pick input")];
  const tellBulk = () => {
    if (!bulk) return;
    const picked = boxes().filter((box) => box.checked);
    const sum = picked.reduce((all, box) => all + Number((box.dataset.kes ?? "0").replaceAll(",", "")), 0);
    bulk.hidden = !picked.length;
    byId("bulk-said").textContent = `${picked.length} selected, KSh ${sum.toLocaleString("en-KE")}`;
    const all = byId("pick-all").querySelector("input");
    all.checked = picked.length > 0 && picked.length === boxes().length;
    all.indeterminate = picked.length > 0 && !all.checked;
  };
  if (bulk) {
    show(byId("pick-all"));
    byId("pick-all").addEventListener("change", (event) => { boxes().forEach((box) => { box.checked = event.target.checked; }); });
    byId("loans").addEventListener("change", tellBulk);
    window.addEventListener("pageshow", tellBulk);
    tellBulk();
  }

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
    const box = row.querySelector(".c-pick input");
    const oldBox = old.querySelector(".c-pick input");
    if (box && oldBox) box.checked = oldBox.checked;
    const onBox = document.activeElement === oldBox;
    old.replaceWith(row);
    if (focused) (onBox ? box : row.querySelector("a")).focus({ preventScroll: true });
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
    tellBulk();
  };
  const couldNot = (text) => {
    byId("updated").textContent = text;
    byId("sheet").classList.add("stale");
    say(text);
  };
  const refresh = async () => {
    const address = new URL(table.dataset.changes, location.href);
    for (const key of ["after", "before"]) if (table.dataset[key]) address.searchParams.set(key, table.dataset[key]);
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
    const busy = document.hidden || document.querySelector("dialog[open], .who[open], .multi[open], .views-edit[open]");
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
  const places = { l: 0, p: 1, c: 2 };
  let goTo = false;
  const keys = {
    "/": () => byId("q").focus(),
    j: () => step(1),
    k: () => step(-1),
    x: () => document.activeElement.closest("#loans tbody tr")?.querySelector(".c-pick input")?.click(),
    r: () => live?.click(),
    "?": () => help.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox], [type=radio]), select, textarea, dialog");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked) return;
    if (goTo && event.key in places) { rooms[places[event.key]].click(); return; }
    goTo = event.key === "g";
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
})();
