/**
 * The response of Meta's login dialog: taken out of the URL and kept for this tab until the result is known, so that the
 * same login continues after a reload or a sign-in.
 */

import type { Provider } from "./client";

export interface DialogResponse {
  code: string | null;
  state: string | null;
  /** Meta's `error`, or "unknown" if it sent only a number. */
  error: string | null;
  errorCode: string | null;
  /** The login product whose dialog was last opened in this tab. */
  provider: Provider;
}

const RESPONSE_KEY = "instagram-connect.response";
const PROVIDER_KEY = "instagram-connect.provider";
const PARAMETERS = [
  "code",
  "state",
  "error",
  "error_code",
  "error_description",
  "error_message",
  "error_reason",
  "granted_scopes",
  "denied_scopes",
];

// Survives remounts by React. After a reload it is needed only while the result is still unknown.
let current: DialogResponse | null = null;

/** The response in this page's URL, or one that an earlier page could not submit; null if there is none. */
export function currentDialogResponse(): DialogResponse | null {
  const arrived = takeFromAddress();
  if (arrived) {
    current = arrived;
    store(RESPONSE_KEY, JSON.stringify(arrived));
  }
  current ??= JSON.parse(stored(RESPONSE_KEY) ?? "null") as DialogResponse | null;
  return current;
}

/** Call once the result is final: a reload then starts from scratch. */
export function clearStoredResponse(): void {
  remove(RESPONSE_KEY);
}

/** Call before starting another login. */
export function forgetDialogResponse(): void {
  current = null;
  remove(RESPONSE_KEY);
}

export function rememberProvider(provider: Provider): void {
  store(PROVIDER_KEY, provider);
}

function takeFromAddress(): DialogResponse | null {
  const address = new URL(window.location.href);
  const given = address.searchParams;
  const failed = given.has("error") || given.has("error_code");
  if (!given.has("code") && !failed) return null;
  const response: DialogResponse = {
    // Meta appends "#_" or "#_=_", which some routers pass on as part of the code.
    code: given.get("code")?.replace(/#_(=_)?$/, "") ?? null,
    state: given.get("state"),
    error: failed ? (given.get("error") ?? "unknown") : null,
    // Digits only: anything else in the URL could be anyone's text and is never shown.
    errorCode: /^\d{1,10}$/.exec(given.get("error_code") ?? "")?.[0] ?? null,
    provider: stored(PROVIDER_KEY) === "instagram" ? "instagram" : "facebook",
  };
  PARAMETERS.forEach((name) => given.delete(name));
  if (/^#_(=_)?$/.test(address.hash)) address.hash = "";
  window.history.replaceState(window.history.state, "", address);
  return response;
}

// A browser may block storage; then only the recovery after a reload is lost.
function store(key: string, value: string): void {
  try {
    window.sessionStorage.setItem(key, value);
  } catch {}
}

function stored(key: string): string | null {
  try {
    return window.sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function remove(key: string): void {
  try {
    window.sessionStorage.removeItem(key);
  } catch {}
}
