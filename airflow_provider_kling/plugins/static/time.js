// The server's clock, as a browser's may be minutes off, and the time zone that the person has chosen in Airflow.

const SLACK = 2000; // milliseconds: the Date header has whole seconds and takes a while to get here

let ahead = 0;

/** Take over the server's clock from an answer. */
export function setClock(response) {
  const theirs = Date.parse(response.headers.get("Date") ?? "");
  const difference = theirs - Date.now();
  if (Number.isFinite(difference)) ahead = Math.abs(difference) > SLACK ? difference : 0;
}

/** Milliseconds since 1970, by the server's clock. */
export function now() {
  return Date.now() + ahead;
}

const KEPT = "timezone"; // where Airflow's own pages keep the choice, as JSON

/** The date and time in that zone: "2026-11-22T14:05:09". */
export function zoned(ms) {
  const parts = formatter().formatToParts(ms);
  const at = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return `${at.year}-${at.month}-${at.day}T${at.hour}:${at.minute}:${at.second}`;
}

/** Milliseconds since 1970 of a date and time in that zone. */
export function unzoned(text) {
  const wall = Date.parse(`${text}Z`);
  const guess = wall - offset(wall);
  return wall - offset(guess); // the offset of an hour before or after, when the clocks change
}

function offset(ms) {
  return Date.parse(`${zoned(ms)}Z`) - Math.floor(ms / 1000) * 1000;
}

let known = { choice: undefined, formatter: null };

function formatter() {
  const choice = localStorage.getItem(KEPT);
  if (known.formatter === null || known.choice !== choice) known = { choice, formatter: makeFormatter(choice) };
  return known.formatter;
}

function makeFormatter(choice) {
  const two = "2-digit";
  const all = { year: "numeric", month: two, day: two, hour: two, minute: two, second: two, hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat("en", { ...all, timeZone: JSON.parse(choice) ?? undefined });
  } catch {
    return new Intl.DateTimeFormat("en", all); // no choice, or none that this browser knows
  }
}
