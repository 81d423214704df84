// What the kernel told about one job: facts, and one series per metric and attempt.

const LIMIT = 4000;

export class Store {
  constructor(snapshot) {
    this.load(snapshot, snapshot.data ? [snapshot.data] : []);
  }

  /** Takes everything at once: at the start, after a page reload, after a hole. */
  load(message, buffers) {
    this.series = new Map();
    this.state = message.state;
    this.#take(message, buffers);
  }

  /** Takes what changed. Returns false when a message is missing before this one. */
  update(message, buffers) {
    if (message.seq <= this.seq) return true; // told already, by a snapshot
    if (message.seq !== this.seq + 1) return false;
    this.state = { ...this.state, ...message.state };
    this.#take(message, buffers);
    return true;
  }

  /** The kernel's clock now, though the browser's may be off. */
  now() {
    return Date.now() / 1000 - this.skew;
  }

  /** All series of a metric, oldest attempt first. */
  of(metric) {
    return [...this.series.values()]
      .filter((series) => series.metric === metric)
      .sort((a, b) => a.attempt - b.attempt);
  }

  /** Where a point stands on the x axis. */
  x(series, index) {
    return this.state.axis === "step" ? series.steps[index] : series.times[index] - this.state.origin;
  }

  #take(message, buffers) {
    this.seq = message.seq;
    this.skew = Date.now() / 1000 - message.now;
    if (!message.series.length) return;
    const numbers = floats(buffers[0]);
    let at = 0;
    for (const [metric, attempt, count] of message.series) {
      const key = `${attempt} ${metric}`;
      if (!this.series.has(key)) this.series.set(key, { metric, attempt, times: [], steps: [], values: [] });
      const series = this.series.get(key);
      for (const end = at + 3 * count; at < end; at += 3) {
        series.times.push(numbers[at]);
        series.steps.push(numbers[at + 1]);
        series.values.push(numbers[at + 2]);
      }
      if (series.values.length > LIMIT) thinOut(series, LIMIT / 2);
    }
  }
}

/** Keeps about `keep` points: the lowest and the highest of each stretch, the first and the last. */
function thinOut(series, keep) {
  const { values } = series;
  const chosen = new Set([0, values.length - 1]);
  const stretch = Math.ceil(values.length / (keep / 2));
  for (let start = 0; start < values.length; start += stretch) {
    let low = start;
    let high = start;
    for (let i = start; i < Math.min(start + stretch, values.length); i++) {
      if (values[i] < values[low]) low = i;
      if (values[i] > values[high]) high = i;
    }
    chosen.add(low).add(high);
  }
  const indices = [...chosen].sort((a, b) => a - b);
  for (const name of ["times", "steps", "values"]) series[name] = indices.map((i) => series[name][i]);
}

function floats(buffer) {
  const bytes = new Uint8Array(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, buffer.byteLength);
  return new Float64Array(bytes.slice().buffer); // a copy is aligned to 8 bytes, a view need not be
}
