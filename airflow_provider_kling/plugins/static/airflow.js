// The way out of the frame that Airflow shows us in: its sandbox lets no link lead the whole page, nor open a tab.

/** Airflow's window around us; null when we are a page of our own, or framed by somebody else. */
export function around() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

/** Let links marked `data-out` lead out of the frame: "page" leads Airflow's whole page, "tab" opens a new tab. */
export function openTheWayOut() {
  document.addEventListener("click", leave);
  document.addEventListener("auxclick", leave); // the middle button
}

function leave(event) {
  const link = event.target instanceof Element ? event.target.closest("a[data-out]") : null;
  const airflow = around();
  if (!link || !airflow || event.button > 1) return;
  event.preventDefault();
  const tab = link.dataset.out === "tab" || event.button === 1 || event.ctrlKey || event.metaKey || event.shiftKey;
  follow(airflow.document, link.href, tab);
}

// A link of Airflow's own page is bound by no sandbox, and this click is the person's.
function follow(page, url, tab) {
  const link = page.createElement("a");
  link.href = url;
  link.rel = "noopener noreferrer";
  if (tab) link.target = "_blank";
  link.hidden = true;
  page.body.append(link);
  link.click();
  link.remove();
}

/** Keep Airflow's address in step with ours where it holds it (3.3+): reloading or sharing it keeps the filter. */
export function mirrorQuery(search) {
  const airflow = around();
  if (!airflow?.location.pathname.endsWith(location.pathname)) return;
  airflow.history.replaceState(airflow.history.state, "", airflow.location.pathname + search);
}
