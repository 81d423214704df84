// One panel on the page: its elements are made once, and then only told what changed.
import { Charts } from "./charts.js";
import { element, say } from "./dom.js";
import { count, duration, number, rate } from "./format.js";

const FINAL = new Set(["succeeded", "failed", "cancelled"]);
const FEEDBACK = { cancel: "cancelling …", pause: "pausing …", resume: "resuming …" };
const PATIENCE_MS = 20_000; // a command that changed nothing by then may be given again

export class View {
  constructor(store, command) {
    this.store = store;
    this.command = command;
    this.asked = null;
    this.gone = false;
    this.#build();
    this.charts = new Charts(store);
    this.chartsAt.replaceWith(this.charts.node);
    this.clock = setInterval(() => this.#tick(), 1000);
    this.theme = new MutationObserver(() => this.charts.restyle());
    this.theme.observe(document.body, { attributeFilter: ["class", "data-jp-theme-name", "data-vscode-theme-kind"] });
    this.draw();
  }

  draw() {
    const { state } = this.store;
    this.node.dataset.status = state.status;
    say(this.name, state.name);
    say(this.id, `job ${state.id}`);
    say(this.about, [state.trainer, state.dataset, state.backend].filter(Boolean).join("  ·  "));
    say(this.pill, state.status);
    say(this.stage, state.stage);
    say(this.attempt, state.attempt > 1 ? `attempt ${state.attempt} of ${Math.max(state.attempt, state.attempts_allowed)}` : "");
    const lost = this.gone && !FINAL.has(state.status);
    say(this.message, lost ? `The kernel is gone, the job goes on: mltemporal.job(${state.id}) follows it.` : state.message);
    say(this.error, state.error);
    this.#drawButtons(state);
    this.#drawProgress(state);
    this.#drawMetrics(state.metrics);
    this.#drawNotes(state.notes);
    this.#drawLog(state.log_tail);
    this.#drawLink(state.url);
    this.charts.draw();
    this.#tick();
  }

  /** The kernel is gone, or back: without it, what is shown is the last that was heard. */
  connected(yes) {
    if (this.gone === !yes) return;
    this.gone = !yes;
    this.draw();
  }

  dispose() {
    clearInterval(this.clock);
    this.theme.disconnect();
    this.charts.dispose();
    this.node.remove();
  }

  #build() {
    this.name = element("span", "mlt-name");
    this.id = element("span", "mlt-id");
    this.pill = element("span", "mlt-pill");
    this.pause = this.#button("pause");
    this.cancel = this.#button("cancel");
    this.about = element("div", "mlt-about");
    this.stage = element("span", "mlt-stage");
    this.attempt = element("span", "mlt-attempt");
    this.message = element("div", "mlt-message");
    this.fill = element("div", "mlt-fill");
    this.bar = element("div", "mlt-bar", this.fill);
    this.bar.setAttribute("role", "progressbar");
    this.done = element("span", "mlt-done");
    this.pace = element("span", "mlt-pace");
    this.left = element("span", "mlt-left");
    this.elapsed = element("span", "mlt-elapsed");
    this.error = element("pre", "mlt-error");
    this.metrics = element("table", "mlt-metrics");
    this.notes = element("ul", "mlt-notes");
    this.chartsAt = element("div");
    this.log = element("pre", "mlt-log");
    this.logSummary = element("summary", "", "Log");
    this.logBox = element("details", "mlt-logbox", this.logSummary, this.log);
    this.link = element("a", "mlt-link", "Temporal Web UI ↗");
    this.link.target = "_blank";
    this.link.rel = "noopener noreferrer";
    this.node = element(
      "section",
      "mlt",
      element(
        "header",
        "mlt-head",
        element("div", "mlt-title", this.name, this.id, this.pill),
        element("div", "mlt-actions", this.pause, this.cancel),
      ),
      this.about,
      element("div", "mlt-line", this.stage, this.attempt),
      this.bar,
      element("div", "mlt-facts", this.done, this.pace, this.left, this.elapsed),
      this.message,
      this.error,
      this.metrics,
      this.chartsAt,
      this.notes,
      element("footer", "mlt-foot", this.logBox, this.link),
    );
  }

  #button(name) {
    const button = element("button", "mlt-button", name);
    button.type = "button";
    button.onclick = () => {
      this.asked = { command: button.dataset.command, status: this.store.state.status };
      this.command(button.dataset.command);
      this.#drawButtons(this.store.state);
      setTimeout(() => {
        this.asked = null;
        this.#drawButtons(this.store.state);
      }, PATIENCE_MS);
    };
    return button;
  }

  #drawButtons(state) {
    if (this.asked && this.asked.status !== state.status) this.asked = null;
    const over = FINAL.has(state.status) || this.gone;
    const draw = (button, command, label, shown) => {
      button.dataset.command = command;
      button.hidden = !shown || over;
      button.disabled = this.asked !== null;
      button.textContent = this.asked?.command === command ? FEEDBACK[command] : label;
    };
    const paused = state.status === "paused";
    draw(this.pause, paused ? "resume" : "pause", paused ? "Resume" : "Pause", paused || state.status === "running");
    draw(this.cancel, "cancel", "Cancel", true);
  }

  #drawProgress(state) {
    const { step, total, status } = state;
    const known = total > 0 && step !== null;
    const share = known ? Math.min(1, step / total) : 0;
    this.bar.classList.toggle("mlt-moving", !known && status === "running");
    this.bar.hidden = status === "succeeded" || (FINAL.has(status) && !known);
    this.fill.style.width = `${100 * share}%`;
    if (known) this.bar.setAttribute("aria-valuenow", Math.round(100 * share));
    const percent = known ? `  ·  ${Math.floor((100 * step) / total)} %` : "";
    say(this.done, status === "succeeded" ? "" : known ? `${count(step)} / ${count(total)}${percent}` : step === null ? "" : `${state.unit} ${count(step)}`);
    say(this.pace, status === "running" && state.rate > 0 ? rate(state.rate, state.unit) : "");
  }

  #tick() {
    const { state } = this.store;
    const now = this.store.now();
    if (this.gone && !FINAL.has(state.status)) return;
    const left = state.eta_at === null || state.status !== "running" ? null : state.eta_at - now;
    say(this.left, left === null ? "" : left < 1 ? "almost there" : `${duration(left)} left`);
    const from = state.started_at ?? state.created_at;
    const to = state.finished_at ?? now;
    const word = FINAL.has(state.status) ? "took" : state.started_at === null ? "waiting for" : "elapsed";
    say(this.elapsed, from ? `${word} ${duration(to - from)}` : "");
  }

  #drawMetrics(metrics) {
    const names = Object.keys(metrics);
    this.metrics.hidden = names.length === 0;
    const cells = (tag, texts) => element("tr", "", ...texts.map((text) => element(tag, "", text)));
    this.metrics.replaceChildren(
      cells("th", names),
      cells("td", names.map((name) => number(metrics[name]))),
    );
  }

  #drawNotes(notes) {
    this.notes.hidden = notes.length === 0;
    this.notes.replaceChildren(...notes.map((note) => element("li", "", note)));
  }

  #drawLog(lines) {
    this.logBox.hidden = lines.length === 0;
    const text = lines.join("\n");
    if (this.log.textContent === text) return;
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 20;
    this.log.textContent = text;
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  #drawLink(url) {
    const safe = /^https?:\/\//.test(url);
    this.link.hidden = !safe;
    if (safe) this.link.href = url;
  }
}
