/**
 * What Meta's dialog answered: read from the address, taken out of it, and kept for this tab until the outcome is known,
 * so that a reload, or a sign-in in between, goes on with the same login.
 */

import type { Provider } from "./client";

export interface LoginAnswer {
  code: string | null;
  state: string | null;
  /** Meta's `error`, or "unknown" when it gave only a number. */
  error: string | null;
  errorCode: string | null;
  /** The product whose dialog was opened last in this tab. */
  provider: Provider;
}

const ANSWER_KEY = "instagram-connect.answer";
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

// Survives that React mounts a component anew; a reload does not need it once the outcome is known.
let current: LoginAnswer | null = null;

/** The answer that this page was opened with, or that a page before it could not hand in; null when there is none. */
export function currentLoginAnswer(): LoginAnswer | null {
  const arrived = takeFromAddress();
  if (arrived) {
    current = arrived;
    store(ANSWER_KEY, JSON.stringify(arrived));
  }
  current ??= JSON.parse(stored(ANSWER_KEY) ?? "null") as LoginAnswer | null;
  return current;
}

/** Nothing is left to hand in: a reload starts from scratch. */
export function settleLoginAnswer(): void {
  remove(ANSWER_KEY);
}

/** Another login is about to start. */
export function forgetLoginAnswer(): void {
  current = null;
  remove(ANSWER_KEY);
}

export function rememberProvider(provider: Provider): void {
  store(PROVIDER_KEY, provider);
}

function takeFromAddress(): LoginAnswer | null {
  const address = new URL(window.location.href);
  const given = address.searchParams;
  const failed = given.has("error") || given.has("error_code");
  if (!given.has("code") && !failed) return null;
  const answer: LoginAnswer = {
    // Meta appends "#_" or "#_=_", which some routers hand over as a part of the code.
    code: given.get("code")?.replace(/#_(=_)?$/, "") ?? null,
    state: given.get("state"),
    error: failed ? (given.get("error") ?? "unknown") : null,
    // A number only: what else is in the address can be anybody's text and is not shown.
    errorCode: /^\d{1,10}$/.exec(given.get("error_code") ?? "")?.[0] ?? null,
    provider: stored(PROVIDER_KEY) === "instagram" ? "instagram" : "facebook",
  };
  PARAMETERS.forEach((name) => given.delete(name));
  if (/^#_(=_)?$/.test(address.hash)) address.hash = "";
  window.history.replaceState(window.history.state, "", address);
  return answer;
}

// A browser may forbid storage; then only the reload is lost.
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
