// Asking again and again: soon while something moves, slowly otherwise, not at all while nobody looks.

const FIRST_PAUSE = 5; // seconds after a first failure
const LONGEST_PAUSE = 60;

/** Seconds until the next try after so many failures in a row. */
export function backOff(failures) {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1));
}

/** Keep a page fresh.
 * @param {(signal: AbortSignal) => Promise<number>} load asks, shows, and returns the seconds until the next time
 * @param {(error: Error|null) => void} report is told of every failure, and null after a success
 * @returns {() => void} what asks at once, dropping a question under way
 */
export function keepFresh(load, report) {
  let timer, failures = 0;
  let under_way = null;

  async function run() {
    clearTimeout(timer);
    under_way?.abort();
    const mine = (under_way = new AbortController());
    let pause;
    try {
      pause = await load(mine.signal);
      failures = 0;
      if (!mine.signal.aborted) report(null);
    } catch (error) {
      if (mine.signal.aborted) return;
      failures += 1;
      pause = backOff(failures);
      report(error);
    }
    if (mine.signal.aborted) return;
    under_way = null;
    if (!document.hidden) timer = setTimeout(run, pause * 1000);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && !under_way) run();
  });
  run();
  return run;
}

/** Call something every second while the page is seen: what moves by itself between two answers. */
export function everySecond(tick) {
  setInterval(() => document.hidden || tick(), 1000);
}
