/** The switch between the system's colours, light and dark. */

const KEEP = "trivec.theme";
const THEMES = ["system", "light", "dark"];

/** @param {HTMLButtonElement} button */
export function bindTheme(button) {
  const root = document.documentElement;
  const show = () => {
    const theme = root.dataset.theme ?? "system";
    button.textContent = theme === "system" ? "Auto" : theme === "light" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Colours: ${theme === "system" ? "as the system" : theme}. Change`);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
    if (next === "system") {
      delete root.dataset.theme;
      localStorage.removeItem(KEEP);
    } else {
      root.dataset.theme = next;
      localStorage.setItem(KEEP, next);
    }
    show();
  });
  show();
}
