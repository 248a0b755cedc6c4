// Light or dark, as Airflow around us is. A plain script in the head, so that nothing is painted in the wrong colours.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");

  function airflow() {
    try {
      return window.parent === window ? null : window.parent.document.documentElement;
    } catch {
      return null; // framed by somebody else: nothing of it can be read
    }
  }

  const around = airflow();

  function choice() {
    for (const theme of ["dark", "light"]) {
      if (around?.classList.contains(theme) || around?.dataset.theme === theme) return theme;
    }
    return system.matches ? "dark" : "light";
  }

  function apply() {
    document.documentElement.dataset.theme = choice();
  }

  apply();
  system.addEventListener("change", apply);
  if (around) new MutationObserver(apply).observe(around, { attributeFilter: ["class", "data-theme"] });
})();
