// Which renders are shown: the controls, kept in the page's own address.

import { mirrorQuery } from "./airflow.js";
import { make, renew } from "./dom.js";
import { now, unzoned, zoned } from "./time.js";
import { asTime } from "./values.js";
import { ourUrl, readQuery } from "./urls.js";

const LONGEST = 2500; // characters: as many as a prompt may have, and the server takes
const TYPING = 300; // milliseconds without a key until the text counts
const SEARCH = "Search the prompts";
const STATES = { "": "All states", rendering: "Rendering", finished: "Finished", failed: "Failed" };
const TIMES = { "": "Any time", hour: "Last hour", day: "Last 24 hours", week: "Last 7 days", range: "From … to …" };
const SECONDS = { hour: 3600, day: 86_400, week: 7 * 86_400 };
const NONE = { dag_id: "", state: "", text: "", time: "", since: "", until: "", page: 1 };

/** What an address asks for; what it can't mean is left out. */
export function readFilter(search) {
  const asked = readQuery(search);
  const one_of = (value, known) => (Object.hasOwn(known, value ?? "") ? (value ?? "") : "");
  const iso = (value) => (asTime(value) === null ? "" : new Date(asTime(value)).toISOString());
  return {
    dag_id: asked.dag_id ?? "",
    state: one_of(asked.state, STATES),
    text: (asked.text ?? "").slice(0, LONGEST),
    time: one_of(asked.time, TIMES),
    since: asked.time === "range" ? iso(asked.since) : "",
    until: asked.time === "range" ? iso(asked.until) : "",
    page: /^[1-9]\d{0,6}$/.test(asked.page ?? "") ? Number(asked.page) : 1,
  };
}

/** The filter as the server takes it. */
export function filterParams({ dag_id, state, text, time, since, until }, at) {
  const ago = SECONDS[time] ? new Date(at - SECONDS[time] * 1000).toISOString() : since;
  return { dag_id, state, text: text.trim(), since: ago, until };
}

/** Whether it leaves anything out. */
export function isFiltered({ dag_id, state, text, time }) {
  return Boolean(dag_id || state || text.trim() || time);
}

/** The controls.
 * @param {Element} slot where they stand
 * @param {() => void} changed is called when another filter or page is chosen
 */
export function makeFilters(slot, changed) {
  let filter = readFilter(location.search);
  const inputs = makeInputs();
  let typing;

  function change(fields) {
    filter = { ...filter, page: 1, ...fields };
    const { page, ...rest } = filter;
    const search = ourUrl("", { ...rest, page: page > 1 ? page : "" });
    history.replaceState(history.state, "", location.pathname + search);
    mirrorQuery(search);
    write(inputs, filter);
    changed();
  }

  inputs.text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => change({ text: inputs.text.value }), TYPING);
  });
  inputs.dag_id.addEventListener("change", () => change({ dag_id: inputs.dag_id.value }));
  inputs.state.addEventListener("change", () => change({ state: inputs.state.value }));
  inputs.time.addEventListener("change", () => change({ time: inputs.time.value, since: "", until: "" }));
  for (const name of ["since", "until"]) {
    inputs[name].addEventListener("change", () => change({ [name]: fromLocal(inputs[name].value) }));
  }
  inputs.clear.addEventListener("click", () => [change(NONE), inputs.text.focus()]);
  slot.append(...layOut(inputs));
  offer(inputs.dag_id, [], filter.dag_id);
  write(inputs, filter);

  return {
    value: () => filter,
    params: () => filterParams(filter, now()),
    turnTo: (page) => change({ page }),
    /** Offer these DAGs too, beside those already offered. */
    offer: (dags) => offer(inputs.dag_id, dags, filter.dag_id),
  };
}

function makeInputs() {
  const select = (label, options) => make("select", { "aria-label": label }, ...optionNodes(options));
  const moment = (label) => make("input", { type: "datetime-local", "aria-label": label });
  return {
    text: make("input", { type: "search", maxlength: LONGEST, placeholder: SEARCH, "aria-label": SEARCH }),
    dag_id: select("DAG", {}),
    state: select("State", STATES),
    time: select("Time", TIMES),
    since: moment("From"),
    until: moment("To"),
    clear: make("button", { type: "button", class: "quiet", text: "Clear" }),
  };
}

function layOut({ text, dag_id, state, time, since, until, clear }) {
  const range = make("span", { class: "range" }, since, make("span", { text: "to" }), until);
  return [text, dag_id, state, time, range, clear];
}

function optionNodes(options) {
  return Object.entries(options).map(([value, text]) => make("option", { value, text }));
}

// The server may name only the DAGs of what is shown: what was offered once stays.
function offer(select, dags, chosen) {
  const known = [...select.options].map((option) => option.value);
  const names = new Set([...known, ...dags.filter((dag) => typeof dag === "string"), chosen]);
  const sorted = [...names].filter(Boolean).sort((a, b) => a.localeCompare(b));
  renew(select, sorted, () => [
    make("option", { value: "", text: "All DAGs" }),
    ...sorted.map((dag) => make("option", { value: dag, text: dag })),
  ]);
  select.value = chosen;
}

function write(inputs, filter) {
  const { since, until } = inputs;
  for (const name of ["dag_id", "state", "time"]) inputs[name].value = filter[name];
  if (document.activeElement !== inputs.text) inputs.text.value = filter.text;
  since.parentElement.hidden = filter.time !== "range";
  for (const name of ["since", "until"]) inputs[name].value = toLocal(filter[name]);
  inputs.clear.hidden = !isFiltered(filter);
}

// A field for dates holds a time of the person's zone, the address one that means the same everywhere.
function fromLocal(value) {
  return value ? new Date(unzoned(value)).toISOString() : "";
}

function toLocal(iso) {
  return iso ? zoned(Date.parse(iso)).slice(0, 16) : "";
}
