// Leafing through the pages: "25–48 of 5,000".

import { make, say } from "./dom.js";
import { count } from "./words.js";

export const PAGE_SIZE = 24; // divides into rows of 2, 3 and 4

/** The buttons and the words.
 * @param {Element} slot where they stand
 * @param {(page: number) => void} turn is told the page to turn to, from 1
 */
export function makePaging(slot, turn) {
  let page = 1;
  const button = (text, step) => {
    const leaf = () => {
      turn(page + step);
      scrollTo({ top: 0 });
    };
    return make("button", { type: "button", text, on: { click: leaf } });
  };
  const [previous, next] = [button("Previous", -1), button("Next", 1)];
  const words = make("span", { class: "paging-words" });
  slot.append(previous, words, next);
  slot.hidden = true;

  return {
    /** @param {number} current page, from 1 @param {number} here renders on it @param {number} total of all pages */
    update(current, here, total) {
      page = current;
      const first = (page - 1) * PAGE_SIZE;
      slot.hidden = total === 0;
      previous.disabled = page <= 1;
      next.disabled = first + here >= total;
      say(words, `${count(first + 1)}–${count(first + here)} of ${count(total)}`);
    },
  };
}
