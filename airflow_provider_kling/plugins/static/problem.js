// What went wrong while asking the server, in words; what was there before stays in sight.

import { make, renew } from "./dom.js";
import { now } from "./time.js";
import { clock } from "./words.js";
import { point } from "./urls.js";

const WORDS = {
  signin: ["Your session has ended.", "Sign in to Airflow again; this page then goes on by itself."],
  forbidden: ["You may not see these renders.", "It takes the permission to read the XComs of their DAGs."],
  missing: ["This page is not served any more.", "Perhaps an administrator has turned it off: [kling] enable_ui."],
};

/** A line for problems.
 * @param {Element} slot where it stands
 * @returns {(error: Error|null) => void} null: all is well again
 */
export function makeProblemLine(slot) {
  let since = null;
  return (error) => {
    since = error ? since ?? now() : null;
    renew(slot, error && [error.kind, error.message, since], () => (error ? [line(error, since)] : []));
  };
}

function line(error, since) {
  const unreachable = error.kind === "away" ? "Airflow can't be reached" : "Airflow could not answer";
  const detail = error.kind === "odd" ? ` (${error.message})` : "";
  const [what, todo] = WORDS[error.kind] ?? [
    `${unreachable} since ${clock(since)}${detail}.`,
    "What you see is as it was then; the page tries again by itself.",
  ];
  const door = error.kind === "signin" ? make("a", { text: "Sign in", "data-out": "page" }) : null;
  if (door) point(door, "href", "../");
  return make("div", { class: "problem" }, make("strong", { text: what }), make("span", { text: ` ${todo} ` }), door);
}
