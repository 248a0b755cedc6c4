// What stands in a card was written by whoever can write a DAG: any field may hold anything. These make it harmless.

const LONGEST = 4000; // characters: more than any prompt may have
const LAST_TIME = Date.UTC(2200, 0);

/** A text to show: "" for nothing, JSON for what should have been a text and is none. */
export function asText(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

/** A number of at least 0, or null. */
export function asNumber(value) {
  const number = typeof value === "string" && value.trim() ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number >= 0 ? number : null;
}

/** Milliseconds since 1970 of an ISO-8601 time, or null. */
export function asTime(value) {
  const time = typeof value === "string" ? Date.parse(value) : NaN;
  return time >= 0 && time < LAST_TIME ? time : null;
}

/** An object's fields; none when it is no object. */
export function asFields(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** The shots of a card, as [{prompt, duration}]. */
export function asShots(value) {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 20).map((shot) => {
    const { prompt, duration } = asFields(shot);
    return { prompt: asText(prompt ?? shot), duration: asNumber(duration) };
  });
}

/** What tells one render of the list from all others. */
export function keyOf({ dag_id, run_id, task_id, map_index }) {
  return JSON.stringify([dag_id, run_id, task_id, map_index]);
}
