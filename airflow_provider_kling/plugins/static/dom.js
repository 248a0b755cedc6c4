// Elements: whatever comes from outside becomes text in them, never markup.

const ADDRESSES = ["href", "src", "poster", "action", "srcdoc"];

/** Make an element.
 * @param {string} tag
 * @param {object} facts its `text`, listeners (`on: {click: ...}`), and attributes; addresses go through urls.point
 * @param {...(Node|null)} children null ones are left out
 */
export function make(tag, facts = {}, ...children) {
  const { text, on = {}, ...attributes } = facts;
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (ADDRESSES.includes(name) || name === "style" || name.startsWith("on")) throw new Error(`not here: ${name}`);
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  if (text !== undefined) element.textContent = text;
  element.append(...children.filter(Boolean));
  return element;
}

const shown = new WeakMap();

/** Fill an element anew, but only when what it shows has changed: the rest keeps its focus and selection.
 * @param {Element} slot
 * @param {*} facts all that `build` uses
 * @param {() => (Node|null)[]} build
 */
export function renew(slot, facts, build) {
  const key = JSON.stringify(facts);
  if (shown.get(slot) === key) return;
  shown.set(slot, key);
  slot.replaceChildren(...build().filter(Boolean));
}

/** Set a text, only when it is another one. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Let a <time> tell a time: in these words, and exactly to who hovers over it. */
export function tell(node, ms, text) {
  const exact = ms === null ? "" : new Date(ms).toISOString();
  if (node.dateTime !== exact) Object.assign(node, { dateTime: exact, title: exact });
  say(node, text);
  return node;
}
