/** Everything that can go wrong, in the API's error shape: see docs/errors.md. */

import type { components } from "./api-types";

type ApiProblem = components["schemas"]["Problem"];
export type Actor = ApiProblem["actor"];

/** The API's codes, plus those for failures that never reach it. */
export type Code =
  | ApiProblem["code"]
  | "LOGIN_CANCELLED"
  | "LOGIN_REFUSED"
  | "SERVER_ANSWER_UNREADABLE"
  | "SERVER_TIMEOUT"
  | "SERVER_UNREACHABLE";

/** An error response of the API, or an error created here, which has no request id. */
export interface ErrorBody {
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

/** What the user can do; "ask-again" is a new login that asks again for declined permissions. */
export type Remedy = "sign-in" | "try-again" | "connect-again" | "ask-again" | "none";

/** A failed call: reported by the API, or created here if there was no readable response. */
export class InstagramConnectError extends Error {
  readonly code: Code;
  readonly details: string | null;
  readonly reason: string | null;
  readonly actor: Actor;
  readonly recoverable: boolean;
  readonly retryAfterSeconds: number | null;
  readonly hint: string;
  readonly requestId: string | null;

  constructor(response: ErrorBody) {
    super(response.error);
    this.name = "InstagramConnectError";
    this.code = response.code;
    this.details = response.details ?? null;
    this.reason = response.reason ?? null;
    this.actor = response.actor;
    this.recoverable = response.recoverable;
    this.retryAfterSeconds = response.retryAfterSeconds ?? null;
    this.hint = response.hint;
    this.requestId = response.requestId ?? null;
  }

  get remedy(): Remedy {
    if (this.code === "UNAUTHENTICATED") return "sign-in";
    if (REPEATABLE.has(this.code)) return "try-again";
    if (!this.recoverable) return "none";
    return needsRerequest(this.code) ? "ask-again" : "connect-again";
  }
}

/**
 * Codes after which the same request can be repeated, even with the same login code: the code is unused, or the server
 * repeats the first result or resumes where it stopped.
 */
const REPEATABLE = new Set<Code>([
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

const NEEDS_REREQUEST = new Set<string | null>([
  "BUSINESS_PORTFOLIO_NOT_GRANTED",
  "NO_FACEBOOK_PAGE",
  "NO_INSTAGRAM_ACCOUNT",
  "PERMISSION_MISSING",
  "SCOPES_DECLINED",
] satisfies Code[]);

/** The user must choose differently in Meta's dialog, which without `rerequest` offers to continue as last time. */
export function needsRerequest(code: string | null): boolean {
  return NEEDS_REREQUEST.has(code);
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
    hint: "Check your internet connection, then try again. If your connection is fine, contact the people who run this app.",
  });

export const serverTimeout = () =>
  new InstagramConnectError({
    code: "SERVER_TIMEOUT",
    error: "The server took too long to respond.",
    actor: "nobody",
    recoverable: true,
    hint: "Try again. It may have finished in the meantime, and nothing is done twice.",
  });

export const unreadableResponse = (status: number) =>
  new InstagramConnectError({
    code: "SERVER_ANSWER_UNREADABLE",
    error: "The server is not working properly right now.",
    details: `It responded with status ${status} in an unexpected format.`,
    actor: "nobody",
    recoverable: true,
    hint: "Try again in a minute. If it keeps happening, contact the people who run this app.",
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
    hint: "Connect again. If the same happens, contact the people who run this app.",
  });

export const stateMissing = () =>
  new InstagramConnectError({
    code: "OAUTH_STATE_INVALID",
    error: "This login was not started here.",
    actor: "user",
    recoverable: true,
    hint: "For your security it was not used. Start the connection again from this page.",
  });
