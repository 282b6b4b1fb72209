/** Asking the server. The key, if it wants one, is kept for this tab alone. */

const KEY = "trivec.key";

/** What the server refuses, in its own words. */
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {string | null} code */
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  /** @param {(reason: string) => Promise<string | null>} askForKey null if nobody gives one */
  constructor(askForKey) {
    this._askForKey = askForKey;
    /** @type {Promise<string | null> | null} */
    this._asking = null;
  }

  /** @param {string} path @param {AbortSignal} [signal] @returns {Promise<any>} */
  get(path, signal) {
    return this._ask(path, { signal });
  }

  /** @param {string} path @param {object} body @param {AbortSignal} [signal] @returns {Promise<any>} */
  post(path, body, signal) {
    return this._ask(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
      signal,
    });
  }

  /** @param {string} path @param {RequestInit} request @returns {Promise<any>} */
  async _ask(path, request) {
    const response = await reached(path, withKey(request));
    if (response.status === 401) {
      const { message } = await refusal(response);
      const key = await this._newKey(message);
      if (key === null) throw new Refused(401, "This server answers to those who have a key.", "invalid_api_key");
      return this._ask(path, request);
    }
    if (!response.ok) throw await refusal(response);
    return response.json();
  }

  /** One question for all requests that are waiting. @param {string} reason */
  async _newKey(reason) {
    this._asking ??= this._askForKey(reason);
    const key = await this._asking;
    this._asking = null;
    if (key !== null) sessionStorage.setItem(KEY, key);
    return key;
  }
}

/** @param {RequestInit} request */
function withKey(request) {
  const key = sessionStorage.getItem(KEY);
  return key === null ? request : { ...request, headers: { ...request.headers, authorization: `Bearer ${key}` } };
}

/** @param {string} path @param {RequestInit} request */
async function reached(path, request) {
  try {
    return await fetch(path, { ...request, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "The server cannot be reached. Is it still running?", null);
  }
}

/** @param {Response} response */
async function refusal(response) {
  const content = await response.json().catch(() => ({}));
  const error = content.error ?? {};
  const later = response.headers.get("retry-after");
  const message = error.message ?? `The server answered with status ${response.status}.`;
  return new Refused(response.status, later ? `${message} (again in ${later} s)` : message, error.code ?? null);
}

/** Whether somebody gave up waiting, which is no failure. @param {unknown} error */
export function isAborted(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/** The address of a library's route. @param {string} library @param {string} route */
export function address(library, route = "") {
  return `v1/libraries/${encodeURIComponent(library)}${route}`;
}
