/** Dialogs: the keys of the page, and the key of the server. */

/** @param {string} id @returns {HTMLDialogElement} */
function dialog(id) {
  return /** @type {HTMLDialogElement} */ (document.getElementById(id));
}

export function bindDialogs() {
  for (const closer of document.querySelectorAll("dialog [data-close]")) {
    closer.addEventListener("click", () => /** @type {HTMLDialogElement} */ (closer.closest("dialog")).close());
  }
}

export function showKeys() {
  if (!dialog("keys").open) dialog("keys").showModal();
}

/**
 * Ask for the server's key.
 *
 * @param {string} reason
 * @returns {Promise<string | null>} null if nobody gives one
 */
export function askForKey(reason) {
  const box = dialog("key");
  const form = /** @type {HTMLFormElement} */ (box.querySelector("form"));
  const field = /** @type {HTMLInputElement} */ (box.querySelector("input"));
  /** @type {HTMLElement} */ (box.querySelector(".reason")).textContent = reason;
  field.value = "";
  return new Promise((resolve) => {
    const submit = (/** @type {Event} */ event) => {
      event.preventDefault();
      if (field.value.trim()) box.close(field.value.trim());
    };
    box.returnValue = "";
    form.addEventListener("submit", submit);
    box.addEventListener("close", () => {
      form.removeEventListener("submit", submit);
      resolve(box.returnValue || null);
      box.returnValue = "";
      field.value = "";
    }, { once: true });
    box.showModal();
  });
}
