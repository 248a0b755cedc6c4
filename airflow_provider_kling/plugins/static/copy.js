// Copying to the clipboard, also where the browser has none for us (plain http on another host than this machine).

import { make } from "./dom.js";

const SHOWN = 2000; // milliseconds that "Copied" stands

/** A button that copies.
 * @param {string} what for its name: "the task id"
 * @param {() => string} text what to copy
 */
export function copyButton(what, text) {
  let timer;
  const button = make("button", { type: "button", class: "copy", "aria-label": `Copy ${what}`, text: "Copy" });
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Select and copy it by hand";
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = "Copy"), SHOWN);
  });
  return make("span", { class: "copying", role: "status" }, button);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyTheOldWay(text);
  }
}

function copyTheOldWay(text) {
  const before = document.activeElement;
  const area = make("textarea", { class: "unseen", readonly: "" });
  area.value = text;
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}
