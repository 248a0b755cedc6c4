// Texts that take a few lines only, until somebody wants to see all of them.

import { make, renew } from "./dom.js";

const measures = new WeakMap();
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => measures.get(target)()));

/** A clamped text; how high it may get is up to the style sheet (`.clamped`).
 * @param {string} what it is, for the name of its button
 * @returns {object} `node`; `update(facts, build)` as `renew` in dom.js
 */
export function makeClamped(what) {
  const content = make("div", { class: "clamped" });
  const more = make("button", { type: "button", class: "more", hidden: "", on: { click: toggle } });
  const node = make("div", { class: "clamp" }, content, more);

  function measure() {
    const whole = node.classList.contains("whole");
    const cut = !whole && content.scrollHeight > content.clientHeight + 1;
    node.classList.toggle("cut", cut);
    more.hidden = !cut && !whole;
  }

  function label(whole) {
    more.textContent = whole ? "Show less" : "Show all";
    more.setAttribute("aria-label", `${more.textContent} of the ${what}`);
    more.setAttribute("aria-expanded", String(whole));
  }

  function toggle() {
    label(node.classList.toggle("whole"));
    measure();
  }

  measures.set(content, measure);
  sizes.observe(content);
  label(false);
  return {
    node,
    update(facts, build) {
      renew(content, facts, build);
      measure();
    },
  };
}
