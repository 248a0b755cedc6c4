// The server's clock: a browser's may be minutes off, and ends and expiries are the server's.

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
