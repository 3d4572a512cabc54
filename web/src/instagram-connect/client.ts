/** Typed client of the Instagram Connect HTTP API. Every failure is an `InstagramConnectError`. */

import type { components } from "./api-types";
import {
  type ErrorBody,
  InstagramConnectError,
  notSignedIn,
  unreadableResponse,
  serverTimeout,
  serverUnreachable,
} from "./errors";
import { forgetDialogResponse, rememberProvider } from "./dialog-response";

type Schemas = components["schemas"];
export type Account = Schemas["Account"];
export type Disconnection = Schemas["Disconnection"];
export type Provider = Schemas["Provider"];
/** A login that worked, but whose accounts Meta has not listed yet. */
export type UnfinishedLogin = Schemas["UnfinishedLogin"];
/** `complete` is false while storage cannot be read; only pending items are listed then. */
export type AccountList = Schemas["Accounts"];

/** The result of a login. */
export interface Connection {
  /** Empty only while `pending`, if Meta has not listed them yet. */
  accounts: Account[];
  /** The login worked and is safely kept, but its accounts will be stored a few minutes later. */
  pending: boolean;
}

/** Whether the list will change within minutes, so that it is worth polling. */
export function isWaiting({ accounts, unfinishedLogins, complete }: AccountList): boolean {
  return !complete || [...accounts, ...unfinishedLogins].some(({ status }) => status === "pending");
}

export interface Options {
  apiUrl: string;
  /** Where Meta sends the user back to. Must match Meta's settings and the backend's allow-list exactly. */
  redirectUri: string;
  /** The Supabase access token of the signed-in user; null if signed out. */
  getAccessToken: () => Promise<string | null>;
}

// Longer than the backend's own limit (API Gateway gives up after 29 s), so that its response arrives first.
const TIMEOUT_MILLISECONDS = 35_000;

export class InstagramConnect {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Leaves the page for Meta's login dialog. `rerequest` asks again for permissions declined earlier. */
  async startLogin({ provider, rerequest = false }: { provider: Provider; rerequest?: boolean }): Promise<void> {
    const { redirectUri } = this.#options;
    const body: Schemas["AuthorizeRequest"] = { redirectUri, provider, rerequest };
    const { authorizeUrl } = (await this.#request("POST", "authorize", body)).data as Schemas["Authorization"];
    forgetDialogResponse();
    rememberProvider(provider);
    window.location.assign(authorizeUrl);
  }

  /** Sends Meta's code and state to the API. Repeating it with the same code returns the first result. */
  async finishLogin({ code, state }: { code: string; state: string }): Promise<Connection> {
    const { redirectUri } = this.#options;
    const body: Omit<Schemas["CodeLogin"], "provider"> = { code, redirectUri, state };
    const response = await this.#request("POST", "exchange-token", body);
    const { accounts } = response.data as Schemas["Connection"] | Schemas["DeferredConnection"];
    return { accounts, pending: response.pending === true };
  }

  async listAccounts(): Promise<AccountList> {
    const response = await this.#request("GET", "accounts");
    // Backends older than this file return only the accounts.
    return { unfinishedLogins: [], complete: true, ...(response.data as Pick<AccountList, "accounts">) };
  }

  /** Disconnects a stored account. A pending one cannot be disconnected yet. */
  async disconnect(id: string): Promise<Disconnection> {
    const response = await this.#request("DELETE", `accounts/${encodeURIComponent(id)}`);
    return response.data as Disconnection;
  }

  /** Extends the token of a stored account now. Rarely needed: connections are refreshed automatically. */
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
    throw isErrorBody(json) ? new InstagramConnectError(json) : unreadableResponse(status);
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

function isErrorBody(json: unknown): json is ErrorBody {
  return (
    isObject(json) && ["error", "code", "actor", "hint"].every((name) => typeof json[name] === "string")
  );
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === "object" && json !== null;
}
