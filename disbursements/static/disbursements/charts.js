"use strict";
// Each chart is drawn from its own table; without this file the tables stand open.
(() => {
  if (!window.Chart) return;
  const css = getComputedStyle(document.documentElement);
  const ink = css.getPropertyValue("--ink-2").trim();
  const line = css.getPropertyValue("--line").trim();
  const colours = ["#0b5a45", "#b06a00"];
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.color = ink;
  Chart.defaults.animation = still ? false : { duration: 250 };
  Chart.defaults.maintainAspectRatio = false;

  const duration = (s) => s < 60 ? `${Math.round(s)} s` : s < 3600 ? `${Math.round(s / 60)} min` : s < 86400 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
  const short = (n) => n >= 1e6 ? `${+(n / 1e6).toFixed(1)} m` : n >= 1e3 ? `${+(n / 1e3).toFixed(1)} k` : String(n);
  const TIMES = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400, 604800];

  const read = (table) => {
    const rows = [...table.tBodies[0].rows];
    const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
    const series = names.map((name, at) => ({
      name,
      values: rows.map((row) => { const text = row.cells[at + 1].dataset.value; return text === "" ? null : Number(text); }),
      texts: rows.map((row) => row.cells[at + 1].textContent),
    })).filter((one) => one.values.some((value) => value !== null));
    return { labels: rows.map((row) => row.cells[0].textContent), series };
  };
  const scales = (kind, values) => {
    const category = { grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 12 }, border: { color: line } };
    const number = { beginAtZero: true, grid: { color: line }, border: { display: false }, ticks: { precision: 0, callback: short, maxTicksLimit: 6 } };
    if (kind === "sideways") return { y: { ...category, ticks: { autoSkip: false, callback(at) { const text = this.getLabelForValue(at); return text.length > 30 ? `${text.slice(0, 29)}…` : text; } } }, x: number };
    if (kind === "percent") return { x: category, y: { ...number, beginAtZero: false, suggestedMin: 90, max: 100, ticks: { callback: (n) => `${n} %`, maxTicksLimit: 6 } } };
    if (kind === "time") {
      const inside = TIMES.filter((s) => s >= Math.min(...values) / 3 && s <= Math.max(...values) * 3);
      return { x: category, y: { ...number, type: "logarithmic", beginAtZero: false, min: Math.min(inside[0], ...values.filter((s) => s > 0)), max: inside.at(-1), afterBuildTicks: (axis) => { axis.ticks = inside.map((value) => ({ value })); }, ticks: { callback: duration } } };
    }
    return { x: category, y: number };
  };
  const draw = (place) => {
    const kind = place.dataset.chart;
    const table = document.getElementById(place.dataset.table);
    const { labels, series } = read(table);
    const isLine = kind === "percent" || kind === "time";
    place.hidden = false;
    if (kind === "sideways") place.classList.add("chart-rows");
    new Chart(place.querySelector("canvas"), {
      type: isLine ? "line" : "bar",
      data: {
        labels,
        datasets: series.map((one, at) => ({
          label: one.name,
          data: one.values,
          borderColor: colours[at],
          backgroundColor: isLine ? colours[at] : (bar) => bar.dataIndex === labels.length - 1 && labels.length > 6 && kind === "bar" ? "#7fb5a3" : colours[at],
          borderWidth: isLine ? 2 : 0,
          borderDash: at ? [5, 4] : [],
          borderRadius: 3,
          pointRadius: labels.length > 40 ? 0 : 2.5,
          maxBarThickness: 34,
          spanGaps: true,
        })),
      },
      options: {
        indexAxis: kind === "sideways" ? "y" : "x",
        interaction: { mode: "index", intersect: false, axis: kind === "sideways" ? "y" : "x" },
        scales: scales(kind, series.flatMap((one) => one.values.filter((value) => value !== null))),
        plugins: {
          legend: { display: series.length > 1, position: "top", align: "end", labels: { boxWidth: 22, boxHeight: 2 } },
          tooltip: { callbacks: { label: (point) => `${series[point.datasetIndex].name}: ${series[point.datasetIndex].texts[point.dataIndex]}` } },
        },
      },
    });
    table.closest("details").open = false;
  };
  document.querySelectorAll("[data-chart]").forEach(draw);
})();
