/** Light, dark, or as the system has it. Runs before anything is drawn, so no page flashes. */

"use strict";

(() => {
  const chosen = localStorage.getItem("trivec.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
