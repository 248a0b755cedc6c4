// Every address that the pages use is made or let through here, and set by `point`.

const NEAR = ["127.0.0.1", "localhost"];

/** A link from a card, or null: https, or http on this machine; never into Airflow, where a GET may sign you out. */
export function outsideUrl(value) {
  const url = typeof value === "string" ? parse(value) : null;
  if (!url || url.username || url.password || url.origin === location.origin) return null;
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && NEAR.includes(url.hostname));
  return allowed ? url.href : null;
}

function parse(value) {
  try {
    return new URL(value);
  } catch {
    return null;
  }
}

/** One of our own routes with its query, as the server writes it; null for anything else. */
export function routeUrl(value, route) {
  return typeof value === "string" && value.startsWith(`${route}?`) ? value : null;
}

/** One of our own routes with a query; null and "" are left out. */
export function ourUrl(route, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== "" && value !== undefined);
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return query ? `${route}?${query}` : route;
}

/** Airflow's page of a task instance, relative to ours, so that it holds behind any proxy. */
export function taskUrl({ dag_id, run_id, task_id, map_index }) {
  const parts = ["dags", dag_id, "runs", run_id, "tasks", task_id];
  if (map_index >= 0) parts.push("mapped", map_index);
  return `../${parts.map(inPath).join("/")}`;
}

// As Airflow's own links have it: what is encoded further leads there, but to a page that marks no tab as the open one.
function inPath(part) {
  return encodeURIComponent(part).replaceAll("%3A", ":").replaceAll("%2B", "+");
}

/** Our player: as the tab of the task instance, or as a page of its own when there is no Airflow around. */
export function playerUrl(render, framed) {
  const { dag_id, run_id, task_id, map_index } = render;
  return framed ? `${taskUrl(render)}/plugin/kling-video` : ourUrl("player", { dag_id, run_id, task_id, map_index });
}

/** Set an address; nothing but http and https ever gets into the page. */
export function point(element, attribute, url) {
  const safe = url && /^https?:$/.test(new URL(url, document.baseURI).protocol);
  if (safe) element.setAttribute(attribute, url);
  else element.removeAttribute(attribute);
  return element;
}

/** The page's own query. "+" is left alone: Airflow 3.1 puts run ids into addresses as they are. */
export function readQuery(search = location.search) {
  const fields = {};
  for (const pair of search.slice(1).split("&").filter(Boolean)) {
    const [name, ...rest] = pair.split("=");
    fields[decode(name)] = decode(rest.join("="));
  }
  return fields;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray % is no reason to show nothing
  }
}
