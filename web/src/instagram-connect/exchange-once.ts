/** Sends each login code once, however often a component asks for the result. */

import type { Connection, InstagramConnect } from "./client";
import { InstagramConnectError, loginCancelled, loginRefused, stateMissing } from "./errors";
import { type DialogResponse, clearStoredResponse } from "./dialog-response";

// Another request is completing the same login. It takes half a minute at most, so wait for its result.
const MAX_RETRIES = 15;
const MAX_WAIT_SECONDS = 5;

const outcomes = new Map<string, Promise<Connection>>();

/** Exchanges the dialog's response for a connection; rejects with an `InstagramConnectError`. */
export function exchangeOnce(client: InstagramConnect, response: DialogResponse): Promise<Connection> {
  const key = keyOf(response);
  const known = outcomes.get(key);
  if (known) return known;
  const outcome = exchange(client, response);
  outcomes.set(key, outcome);
  outcome.then(clearStoredResponse, (problem: unknown) => {
    const keep = problem instanceof InstagramConnectError && ["try-again", "sign-in"].includes(problem.remedy);
    if (!keep) clearStoredResponse();
  });
  return outcome;
}

/** Makes the next call of `exchangeOnce` send the same code again. */
export function forgetOutcome(response: DialogResponse): void {
  outcomes.delete(keyOf(response));
}

function keyOf(response: DialogResponse): string {
  return JSON.stringify([response.code, response.state, response.error]);
}

async function exchange(client: InstagramConnect, response: DialogResponse): Promise<Connection> {
  const { code, state } = response;
  if (response.error === "access_denied") throw loginCancelled();
  if (response.error !== null || code === null) throw loginRefused(response.errorCode);
  if (!state) throw stateMissing();
  for (let retries = 0; ; retries++) {
    try {
      return await client.finishLogin({ code, state });
    } catch (problem) {
      const isInProgress = problem instanceof InstagramConnectError && problem.code === "LOGIN_IN_PROGRESS";
      if (!isInProgress || retries === MAX_RETRIES) throw problem;
      await sleep(Math.min(problem.retryAfterSeconds ?? 2, MAX_WAIT_SECONDS));
    }
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, seconds * 1000));
}
