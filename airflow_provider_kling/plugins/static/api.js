// Asking our part of the API server; refusals come back in words.

import { setClock } from "./time.js";
import { ourUrl } from "./urls.js";

const PATIENCE = 30_000; // milliseconds for one answer

/** Why there is no answer. `kind`: "signin", "forbidden", "missing", "away" (nobody there) or "odd" (any other). */
export class Problem extends Error {
  constructor(kind, detail = "") {
    super(detail || kind);
    this.kind = kind;
  }
}

const KINDS = { 401: "signin", 403: "forbidden", 404: "missing", 502: "away", 503: "away", 504: "away" };

/** Ask, and return what the JSON holds.
 * @param {string} route such as "api/renders"
 * @param {object} params its query
 * @param {AbortSignal} signal ends it early; that throws an AbortError, not a Problem
 */
export async function ask(route, params, signal) {
  const patience = new AbortController(); // for the whole answer: one that stalls half-way must not stop the page
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  const stop = () => patience.abort();
  signal.addEventListener("abort", stop);
  try {
    return await answer(ourUrl(route, params), patience.signal);
  } catch (error) {
    signal.throwIfAborted();
    throw patience.signal.aborted ? new Problem("away") : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

async function answer(url, signal) {
  const response = await send(url, signal);
  setClock(response);
  if (response.type === "opaqueredirect") throw new Problem("signin"); // a proxy sends us to its login page
  if (!response.ok) throw new Problem(KINDS[response.status] ?? "odd", `it answered with ${response.status}`);
  try {
    return await response.json();
  } catch {
    throw new Problem("odd", "its answer could not be read");
  }
}

async function send(url, signal) {
  const options = { signal, credentials: "same-origin", redirect: "manual", cache: "no-store" };
  try {
    return await fetch(url, { ...options, headers: { Accept: "application/json" } });
  } catch {
    throw new Problem("away");
  }
}
