/** One request for each code of a login, however often a component asks for its outcome. */

import type { Connection, InstagramConnect } from "./client";
import { InstagramConnectError, loginCancelled, loginRefused, stateMissing } from "./errors";
import { type LoginAnswer, settleLoginAnswer } from "./login-answer";

// Another request of the same login is at work, for half a minute at most: its outcome is worth waiting for.
const WAITS_FOR_ANOTHER = 15;
const LONGEST_WAIT_SECONDS = 5;

const outcomes = new Map<string, Promise<Connection>>();

/** The outcome of handing in this answer; rejects with an `InstagramConnectError`. */
export function outcomeOf(client: InstagramConnect, answer: LoginAnswer): Promise<Connection> {
  const key = keyOf(answer);
  const known = outcomes.get(key);
  if (known) return known;
  const outcome = handIn(client, answer);
  outcomes.set(key, outcome);
  outcome.then(settleLoginAnswer, (problem: unknown) => {
    const keep = problem instanceof InstagramConnectError && ["try-again", "sign-in"].includes(problem.remedy);
    if (!keep) settleLoginAnswer();
  });
  return outcome;
}

/** The next call of `outcomeOf` sends the same code again. */
export function forgetOutcome(answer: LoginAnswer): void {
  outcomes.delete(keyOf(answer));
}

function keyOf(answer: LoginAnswer): string {
  return JSON.stringify([answer.code, answer.state, answer.error]);
}

async function handIn(client: InstagramConnect, answer: LoginAnswer): Promise<Connection> {
  const { code, state } = answer;
  if (answer.error === "access_denied") throw loginCancelled();
  if (answer.error !== null || code === null) throw loginRefused(answer.errorCode);
  if (!state) throw stateMissing();
  for (let waits = 0; ; waits++) {
    try {
      return await client.finishLogin({ code, state });
    } catch (problem) {
      const isInProgress = problem instanceof InstagramConnectError && problem.code === "LOGIN_IN_PROGRESS";
      if (!isInProgress || waits === WAITS_FOR_ANOTHER) throw problem;
      await sleep(Math.min(problem.retryAfterSeconds ?? 2, LONGEST_WAIT_SECONDS));
    }
  }
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, seconds * 1000));
}
