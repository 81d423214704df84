import assert from "node:assert/strict";
import { test } from "node:test";
import { count, duration, number, rate } from "../src/format.js";
import { Store } from "../src/store.js";

const bytes = (...numbers) => new DataView(new Float64Array(numbers).buffer);
const snapshot = (seq = 0) => ({ seq, now: Date.now() / 1000, state: { status: "queued", axis: "step", origin: 0 }, series: [] });
const update = (seq, state = {}, series = []) => ({ t: "update", seq, now: 0, state, series });

test("updates add to the facts and to the series", () => {
  const store = new Store(snapshot());

  assert.ok(store.update(update(1, { status: "running" }, [["loss", 1, 2]]), [bytes(10, 0, 0.5, 11, 1, 0.4)]));
  assert.ok(store.update(update(2, {}, [["loss", 1, 1], ["loss", 2, 1]]), [bytes(12, 2, 0.3, 13, 0, 0.9)]));

  assert.equal(store.state.status, "running");
  assert.deepEqual(store.of("loss").map((series) => [series.attempt, series.values]), [[1, [0.5, 0.4, 0.3]], [2, [0.9]]]);
  assert.equal(store.x(store.of("loss")[0], 2), 2);
});

test("a hole is seen, and what was told already is not taken twice", () => {
  const store = new Store(snapshot(3));

  assert.equal(store.update(update(5), []), false);
  assert.equal(store.update(update(3, {}, [["loss", 1, 1]]), [bytes(1, 1, 1)]), true);
  assert.deepEqual(store.of("loss"), []);
  assert.equal(store.update(update(4), []), true);
});

test("a snapshot replaces everything", () => {
  const store = new Store(snapshot());
  store.update(update(1, {}, [["loss", 1, 1]]), [bytes(1, 1, 1)]);

  store.load({ ...snapshot(7), series: [["lr", 1, 1]] }, [bytes(5, 6, 7)]);

  assert.deepEqual([...store.series.values()].map((series) => [series.metric, series.values]), [["lr", [7]]]);
  assert.ok(store.update(update(8), []));
});

test("data at an odd place in a larger message is read", () => {
  const inner = new Uint8Array(new Float64Array([1, 2, 3]).buffer);
  const outer = new Uint8Array(29);
  outer.set(inner, 5);
  const store = new Store({ ...snapshot(), series: [["loss", 1, 1]], data: new DataView(outer.buffer, 5, 24) });

  assert.deepEqual(store.of("loss")[0].values, [3]);
});

test("a long series stays bounded and keeps its peak", () => {
  const store = new Store(snapshot());
  for (let i = 0; i < 20_000; i++) {
    store.update(update(i + 1, {}, [["loss", 1, 1]]), [bytes(i, i, i === 777 ? 1000 : Math.sin(i))]);
  }

  const { values, steps } = store.of("loss")[0];
  assert.ok(values.length <= 4000);
  assert.ok(values.includes(1000));
  assert.deepEqual([steps[0], steps.at(-1)], [0, 19_999]);
});

test("numbers and durations read well", () => {
  assert.deepEqual([0.97312, 1200, 1.234e-5, NaN].map(number), ["0.9731", "1200", "1.23e-5", "–"]);
  assert.deepEqual([3.2, 125, 3840, 93_784].map(duration), ["3 s", "2 min 5 s", "1 h 4 min", "1 d 2 h"]);
  assert.deepEqual([rate(16.44, "step"), rate(0.25, "row")], ["16.4 steps/s", "4 s/row"]);
  assert.equal(rate(51955, "row"), "52,000 rows/s");
  assert.equal(count(224910), "224,910");
});
