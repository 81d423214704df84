// Numbers and durations as a person reads them. notebook/words.py says the same in Python.

/** 93784 → "1 d 2 h", 125 → "2 min 5 s", 3.2 → "3 s". */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** Four significant digits, without trailing zeros. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** A count with its thousands apart: 51955 → "51,955". */
export function count(value) {
  return value.toLocaleString("en-US");
}

/** Steps (or rows) a second, or seconds a step when it is slow. */
export function rate(perSecond, unit) {
  return perSecond >= 1
    ? `${count(Number(perSecond.toPrecision(3)))} ${unit}s/s`
    : `${number(Number((1 / perSecond).toPrecision(3)))} s/${unit}`;
}
