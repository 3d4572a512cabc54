/** The HTTP API of Instagram Connect, as typed calls. Every failure is an `InstagramConnectError`. */

import type { components } from "./api-types";
import {
  type ErrorAnswer,
  InstagramConnectError,
  notSignedIn,
  serverAnswerUnreadable,
  serverTimeout,
  serverUnreachable,
} from "./errors";
import { forgetLoginAnswer, rememberProvider } from "./login-answer";

type Schemas = components["schemas"];
export type Account = Schemas["Account"];
export type Disconnection = Schemas["Disconnection"];
export type Provider = Schemas["Provider"];
/** A login that worked, but whose accounts Meta has not named yet. */
export type UnfinishedLogin = Schemas["UnfinishedLogin"];
/** `complete` is false while storage cannot be read: then only what is pending is listed. */
export type AccountList = Schemas["Accounts"];

/** What a login brought. */
export interface Connection {
  /** Empty only while `pending`, when Meta has not named them yet. */
  accounts: Account[];
  /** The login worked and is kept safely; the list shows its accounts as stored some minutes later. */
  pending: boolean;
}

/** Whether the list changes by itself within minutes, so that it is worth reading again some seconds later. */
export function isWaiting({ accounts, unfinishedLogins, complete }: AccountList): boolean {
  return !complete || [...accounts, ...unfinishedLogins].some(({ status }) => status === "pending");
}

export interface Options {
  apiUrl: string;
  /** Where Meta sends the person back to: registered at Meta and on the backend's allow-list, character by character. */
  redirectUri: string;
  /** The Supabase access token of the signed-in user; null when there is none. */
  getAccessToken: () => Promise<string | null>;
}

// Longer than the backend's own limit (API Gateway gives up after 29 s), so that its answer wins.
const TIMEOUT_MILLISECONDS = 35_000;

export class InstagramConnect {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Leaves the page for Meta's login dialog. `rerequest` asks again for permissions that were declined before. */
  async startLogin({ provider, rerequest = false }: { provider: Provider; rerequest?: boolean }): Promise<void> {
    const { redirectUri } = this.#options;
    const body: Schemas["AuthorizeRequest"] = { redirectUri, provider, rerequest };
    const { authorizeUrl } = (await this.#request("POST", "authorize", body)).data as Schemas["Authorization"];
    forgetLoginAnswer();
    rememberProvider(provider);
    window.location.assign(authorizeUrl);
  }

  /** Hands in what Meta sent back. May be repeated with the same code: the first outcome is the answer again. */
  async finishLogin({ code, state }: { code: string; state: string }): Promise<Connection> {
    const { redirectUri } = this.#options;
    const body: Omit<Schemas["CodeLogin"], "provider"> = { code, redirectUri, state };
    const answer = await this.#request("POST", "exchange-token", body);
    const { accounts } = answer.data as Schemas["Connection"] | Schemas["DeferredConnection"];
    return { accounts, pending: answer.pending === true };
  }

  async listAccounts(): Promise<AccountList> {
    const answer = await this.#request("GET", "accounts");
    // A backend that is older than this file names the accounts only.
    return { unfinishedLogins: [], complete: true, ...(answer.data as Pick<AccountList, "accounts">) };
  }

  /** Takes the id of a stored account: one that is pending has nothing to disconnect yet. */
  async disconnect(id: string): Promise<Disconnection> {
    const answer = await this.#request("DELETE", `accounts/${encodeURIComponent(id)}`);
    return answer.data as Disconnection;
  }

  /** Extends the token of a stored account at once. Nobody has to: connections are refreshed by themselves. */
  async refreshToken(businessAccountId: string): Promise<Account> {
    const body: Schemas["RefreshTokenRequest"] = { businessAccountId };
    const { account } = (await this.#request("POST", "refresh-token", body)).data as Schemas["RefreshedAccount"];
    return account;
  }

  async #request(method: string, path: string, body?: object): Promise<Success> {
    const token = await this.#options.getAccessToken().catch(() => null);
    if (token === null) throw notSignedIn();
    const { status, json } = await send(`${this.#options.apiUrl}/api/instagram/${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body && { "Content-Type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    });
    if (isSuccess(json)) return json;
    throw isErrorAnswer(json) ? new InstagramConnectError(json) : serverAnswerUnreadable(status);
  }
}

interface Success {
  success: true;
  data: unknown;
  pending?: boolean;
}

async function send(url: string, request: RequestInit): Promise<{ status: number; json: unknown }> {
  try {
    const response = await fetch(url, request);
    const text = await response.text();
    return { status: response.status, json: parsed(text) };
  } catch (failure) {
    const isTimeout = failure instanceof DOMException && failure.name === "TimeoutError";
    throw isTimeout ? serverTimeout() : serverUnreachable();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isSuccess(json: unknown): json is Success {
  return isObject(json) && json.success === true && isObject(json.data);
}

function isErrorAnswer(json: unknown): json is ErrorAnswer {
  return (
    isObject(json) && ["error", "code", "actor", "hint"].every((name) => typeof json[name] === "string")
  );
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === "object" && json !== null;
}
