// The live curves: one small uPlot chart for each group of metrics.
import uPlot from "uplot";
import { element } from "./dom.js";
import { number } from "./format.js";

const COLOURS = ["#1976d2", "#f57c00", "#2e9e5b", "#c2185b", "#7e57c2", "#00838f"];
const HEIGHT = 150;
const SHOWN_AT_FIRST = 4;
const WHOLE = [...Array(12).keys()].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

export class Charts {
  constructor(store) {
    this.store = store;
    this.chips = element("div", "mlt-chips");
    this.grid = element("div", "mlt-grid");
    this.node = element("div", "mlt-charts", this.chips, this.grid);
    this.charts = new Map();
    this.off = new Map(); // what the user switched on or off, by group
    this.resizes = new ResizeObserver(() => this.#fit());
    this.resizes.observe(this.grid);
  }

  draw() {
    const groups = this.store.state.charts;
    this.node.hidden = groups.length === 0;
    this.#drawChips(groups);
    groups.forEach((metrics, index) => {
      const key = metrics[0];
      const shown = this.#shown(key, index);
      if (!shown) return this.#drop(key);
      if (!this.charts.has(key)) this.charts.set(key, new Chart(this.store, this.grid));
      const chart = this.charts.get(key);
      chart.node.style.order = index;
      chart.draw(metrics);
    });
  }

  /** Draws again, in the colours of a new theme. */
  restyle() {
    for (const chart of this.charts.values()) chart.uplot.redraw(false);
  }

  dispose() {
    this.resizes.disconnect();
    for (const key of [...this.charts.keys()]) this.#drop(key);
  }

  #shown(key, index) {
    return this.off.get(key) ?? index < SHOWN_AT_FIRST;
  }

  #drop(key) {
    this.charts.get(key)?.dispose();
    this.charts.delete(key);
  }

  #drawChips(groups) {
    this.chips.hidden = groups.length <= SHOWN_AT_FIRST;
    if (this.chips.hidden) return;
    const names = groups.map((metrics, index) => [metrics.join(", "), this.#shown(metrics[0], index)]);
    const drawn = JSON.stringify(names);
    if (this.drawn === drawn) return;
    this.drawn = drawn;
    this.chips.replaceChildren(
      ...names.map(([label, shown], index) => {
        const chip = element("button", "mlt-chip", label);
        chip.type = "button";
        chip.setAttribute("aria-pressed", shown);
        chip.onclick = () => {
          this.off.set(groups[index][0], !shown);
          this.draw();
        };
        return chip;
      }),
    );
  }

  #fit() {
    for (const chart of this.charts.values()) chart.fit();
  }
}

class Chart {
  constructor(store, parent) {
    this.store = store;
    this.legend = element("div", "mlt-legend");
    this.plot = element("div", "mlt-plot");
    this.node = element("div", "mlt-chart", this.legend, this.plot);
    parent.append(this.node);
    this.shape = "";
  }

  draw(metrics) {
    const lines = metrics.flatMap((metric, index) =>
      this.store.of(metric).map((series) => ({ ...series, series, colour: COLOURS[index % COLOURS.length] })),
    );
    this.metrics = metrics;
    this.data = uPlot.join(lines.map((line) => this.#table(line.series)));
    this.lines = lines;
    this.starts = attemptStarts(this.store, lines);
    const shape = JSON.stringify([this.store.state.axis, lines.map((line) => [line.metric, line.attempt])]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.#make();
    } else {
      this.uplot.setData(this.data);
    }
    this.#drawLegend();
  }

  fit() {
    const width = this.plot.clientWidth;
    if (this.uplot && width > 0 && width !== this.uplot.width) this.uplot.setSize({ width, height: HEIGHT });
  }

  dispose() {
    this.uplot?.destroy();
    this.node.remove();
  }

  #table(series) {
    const xs = [];
    const ys = [];
    for (let i = 0; i < series.values.length; i++) {
      const x = this.store.x(series, i);
      const y = Number.isFinite(series.values[i]) ? series.values[i] : null;
      if (xs.length && x <= xs[xs.length - 1]) {
        ys[ys.length - 1] = y; // the same step again: its last word counts
      } else {
        xs.push(x);
        ys.push(y);
      }
    }
    return [xs, ys];
  }

  #make() {
    this.uplot?.destroy();
    const text = () => getComputedStyle(this.plot).color; // asked at each drawing: the theme may come later
    const grid = { stroke: "rgba(128,128,128,0.18)", width: 1 };
    const axis = { stroke: text, grid, ticks: { ...grid, size: 4 }, font: "11px system-ui, sans-serif" };
    const byStep = this.store.state.axis === "step";
    const newest = Math.max(...this.lines.map((line) => line.attempt));
    this.uplot = new uPlot(
      {
        width: Math.max(this.plot.clientWidth, 120),
        height: HEIGHT,
        legend: { show: false },
        padding: [8, 10, 0, 0],
        cursor: { y: false, drag: { x: true, y: false } },
        scales: { x: { time: false } },
        axes: [
          { ...axis, size: 28, space: 60, incrs: byStep ? WHOLE : undefined, values: (_, ticks) => ticks.map((t) => (byStep ? number(t) : seconds(t))) },
          { ...axis, size: labelWidth, space: 30, values: (_, ticks) => ticks.map(number) },
        ],
        series: [
          {},
          ...this.lines.map((line) => ({
            label: line.metric,
            stroke: line.colour,
            alpha: line.attempt === newest ? 1 : 0.45,
            width: 1.6,
            spanGaps: true,
            points: { size: 4, fill: line.colour, show: () => line.series.values.length < 25 },
          })),
        ],
        hooks: { draw: [(u) => this.#drawAttempts(u)], setCursor: [() => this.#drawLegend()] },
      },
      this.data,
      this.plot,
    );
  }

  #drawAttempts(u) {
    const { ctx } = u;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = "rgba(128,128,128,0.9)";
    ctx.lineWidth = ratio;
    ctx.font = `${10 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    for (const [attempt, x] of this.starts) {
      const at = Math.round(u.valToPos(x, "x", true));
      if (at < u.bbox.left || at > u.bbox.left + u.bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(at, u.bbox.top);
      ctx.lineTo(at, u.bbox.top + u.bbox.height);
      ctx.stroke();
      ctx.fillText(`attempt ${attempt}`, at + 3 * ratio, u.bbox.top + ratio);
    }
    ctx.restore();
  }

  /** The values under the cursor, or the latest. */
  #drawLegend() {
    const at = this.uplot?.cursor?.idx;
    const where = at === null || at === undefined ? null : this.data[0][at];
    const items = this.metrics.map((metric, index) => {
      const value = where === null ? this.#latest(metric) : this.#under(metric, at);
      const dot = element("span", "mlt-dot");
      dot.style.background = COLOURS[index % COLOURS.length];
      return element("span", "mlt-key", dot, `${metric} `, element("b", "", number(value)));
    });
    const byStep = this.store.state.axis === "step";
    if (where !== null && where !== undefined) {
      items.push(element("span", "mlt-at", byStep ? `step ${number(where)}` : `after ${seconds(where)}`));
    }
    this.legend.replaceChildren(...items);
  }

  #latest(metric) {
    const series = this.store.of(metric).at(-1);
    return series?.values.at(-1);
  }

  #under(metric, index) {
    for (let line = this.lines.length - 1; line >= 0; line--) {
      const value = this.data[line + 1][index];
      if (this.lines[line].metric === metric && value !== null && value !== undefined) return value;
    }
    return null;
  }
}

/** [[attempt, x of its first point]] for each attempt but the first. */
function attemptStarts(store, lines) {
  const starts = new Map();
  for (const { series } of lines) {
    if (!series.values.length) continue;
    const x = store.x(series, 0);
    starts.set(series.attempt, Math.min(x, starts.get(series.attempt) ?? x));
  }
  return [...starts].sort((a, b) => a[0] - b[0]).slice(1);
}

function labelWidth(_, labels) {
  return 16 + 6.3 * Math.max(3, ...(labels ?? []).map((label) => label.length));
}

function seconds(value) {
  if (value < 120) return `${number(Number(value.toFixed(1)))} s`;
  return value < 7200 ? `${number(Number((value / 60).toFixed(1)))} min` : `${number(Number((value / 3600).toFixed(1)))} h`;
}
