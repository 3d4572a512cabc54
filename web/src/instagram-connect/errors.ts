/** Everything that can go wrong, in the shape in which the API tells it: see docs/errors.md. */

import type { components } from "./api-types";

type ApiProblem = components["schemas"]["Problem"];
export type Actor = ApiProblem["actor"];

/** The API's codes, and those of what it never hears of. */
export type Code =
  | ApiProblem["code"]
  | "LOGIN_CANCELLED"
  | "LOGIN_REFUSED"
  | "SERVER_ANSWER_UNREADABLE"
  | "SERVER_TIMEOUT"
  | "SERVER_UNREACHABLE";

/** An error answer of the API, or one made here, which has no request id. */
export interface ErrorAnswer {
  error: string;
  details?: string | null;
  code: Code;
  reason?: string | null;
  actor: Actor;
  recoverable: boolean;
  retryAfterSeconds?: number | null;
  hint: string;
  requestId?: string | null;
}

/** What the person in front of the page can do; "ask-again" is a new login that asks for what was declined. */
export type Remedy = "sign-in" | "try-again" | "connect-again" | "ask-again" | "none";

/** A call that did not do what it should: told by the API, or made here when there was no answer to read. */
export class InstagramConnectError extends Error {
  readonly code: Code;
  readonly details: string | null;
  readonly reason: string | null;
  readonly actor: Actor;
  readonly recoverable: boolean;
  readonly retryAfterSeconds: number | null;
  readonly hint: string;
  readonly requestId: string | null;

  constructor(answer: ErrorAnswer) {
    super(answer.error);
    this.name = "InstagramConnectError";
    this.code = answer.code;
    this.details = answer.details ?? null;
    this.reason = answer.reason ?? null;
    this.actor = answer.actor;
    this.recoverable = answer.recoverable;
    this.retryAfterSeconds = answer.retryAfterSeconds ?? null;
    this.hint = answer.hint;
    this.requestId = answer.requestId ?? null;
  }

  get remedy(): Remedy {
    if (this.code === "UNAUTHENTICATED") return "sign-in";
    if (SAME_REQUEST_AGAIN.has(this.code)) return "try-again";
    if (!this.recoverable) return "none";
    return needsOtherChoice(this.code) ? "ask-again" : "connect-again";
  }
}

/**
 * The request may be repeated as it was, with the same code of a login: it is unused, its outcome is repeated, or the
 * server goes on from where it had to stop.
 */
const SAME_REQUEST_AGAIN = new Set<Code>([
  "IDENTITY_UNAVAILABLE",
  "INTERNAL_ERROR",
  "LOGIN_IN_PROGRESS",
  "LOGIN_RECORDS_UNAVAILABLE",
  "META_UNAVAILABLE",
  "REFRESH_IN_PROGRESS",
  "SERVER_ANSWER_UNREADABLE",
  "SERVER_TIMEOUT",
  "SERVER_UNREACHABLE",
  "SERVICE_STARTING",
  "STORAGE_FAILED",
  "TOKEN_ENCRYPTION_FAILED",
  "TOO_MANY_REQUESTS",
]);

const OTHER_CHOICE_NEEDED = new Set<string | null>([
  "BUSINESS_PORTFOLIO_NOT_GRANTED",
  "NO_FACEBOOK_PAGE",
  "NO_INSTAGRAM_ACCOUNT",
  "PERMISSION_MISSING",
  "SCOPES_DECLINED",
] satisfies Code[]);

/** The person has to choose differently in Meta's dialog, which offers to go on as last time without `rerequest`. */
export function needsOtherChoice(code: string | null): boolean {
  return OTHER_CHOICE_NEEDED.has(code);
}

export const notSignedIn = () =>
  new InstagramConnectError({
    code: "UNAUTHENTICATED",
    error: "You are not signed in.",
    actor: "user",
    recoverable: true,
    hint: "Sign in again, then connect Instagram.",
  });

export const serverUnreachable = () =>
  new InstagramConnectError({
    code: "SERVER_UNREACHABLE",
    error: "The server cannot be reached.",
    actor: "nobody",
    recoverable: true,
    hint: "Check your internet connection, then try again. If that works and this does not, tell the people who run this app.",
  });

export const serverTimeout = () =>
  new InstagramConnectError({
    code: "SERVER_TIMEOUT",
    error: "The server took too long to answer.",
    actor: "nobody",
    recoverable: true,
    hint: "Try again: it may have finished in the meantime, and nothing is done twice.",
  });

export const serverAnswerUnreadable = (status: number) =>
  new InstagramConnectError({
    code: "SERVER_ANSWER_UNREADABLE",
    error: "The server is not working properly right now.",
    details: `It answered with status ${status} and something that is not its own format.`,
    actor: "nobody",
    recoverable: true,
    hint: "Try again in a minute. If it stays like this, tell the people who run this app.",
  });

export const loginCancelled = () =>
  new InstagramConnectError({
    code: "LOGIN_CANCELLED",
    error: "You cancelled the login.",
    actor: "user",
    recoverable: true,
    hint: "Nothing was connected or changed. Connect again whenever you like.",
  });

export const loginRefused = (metaCode: string | null) =>
  new InstagramConnectError({
    code: "LOGIN_REFUSED",
    error: "Meta ended the login with an error.",
    details: metaCode && `Meta’s error code is ${metaCode}.`,
    actor: "meta",
    recoverable: true,
    hint: "Connect again. If the same happens, tell the people who run this app.",
  });

export const stateMissing = () =>
  new InstagramConnectError({
    code: "OAUTH_STATE_INVALID",
    error: "This login was not started here.",
    actor: "user",
    recoverable: true,
    hint: "For your safety it was not used. Start the connection again on this page.",
  });
