/** Texts about accounts and logins. */

import type { Account, AccountList, Connection, Disconnection, Provider, UnfinishedLogin } from "./instagram-connect";

const NUMBER = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const TIME = new Intl.DateTimeFormat("en", { timeStyle: "short", hourCycle: "h23" });
const LIST = new Intl.ListFormat("en");

const PRODUCT: Record<Provider, string> = { facebook: "Facebook", instagram: "Instagram" };

// After this, "within a few minutes" is no longer true.
const LONG_MILLISECONDS = 15 * 60_000;

/** What to do about a login that could not be completed, where connecting again is not enough. */
const NEXT_STEPS: Record<string, string> = {
  ACCOUNT_NOT_PROFESSIONAL:
    "This is a personal account. Switch it to a professional account in Instagram’s settings, then connect again.",
  BUSINESS_PORTFOLIO_NOT_GRANTED:
    "Access to the business portfolio that owns the Page was declined. Connect again and allow it.",
  NO_FACEBOOK_PAGE: "No Facebook Page was shared. Connect again and choose yours.",
  NO_INSTAGRAM_ACCOUNT:
    "None of the shared Facebook Pages has a professional Instagram account. Link one in the Page’s settings, then connect again.",
  PERMISSION_MISSING: "A permission is missing. Connect again and leave all permissions ticked.",
  RECONNECT_REQUIRED: "Meta no longer accepts this login. Connect again.",
  SCOPES_DECLINED: "A permission was declined. Connect again and leave all permissions ticked.",
};

export function statusText({ status, tokenExpiresAt, connectedAt, reconnectBefore }: Account): string {
  switch (status) {
    case "active":
      if (reconnectBefore) return "Connected";
      return tokenExpiresAt
        ? `Connected, login valid until ${DAY.format(new Date(tokenExpiresAt))}`
        : "Connected, login does not expire";
    case "needs_reauth":
      return "Meta no longer accepts the login.";
    case "disconnected":
      return "Disconnected";
    case "pending":
      return Date.now() - Date.parse(connectedAt) < LONG_MILLISECONDS
        ? "Connected. We are saving it; it will be ready within a few minutes."
        : "Connected. Saving it is taking longer than usual. Nothing has been lost, and you don’t need to connect again.";
  }
}

/** What the user must do to make the account work again or keep it working; null if nothing. */
export function adviceText({ status, reconnectHint, reconnectBefore }: Account): string | null {
  if (status === "needs_reauth") return reconnectHint ?? "Reconnect to keep using this account.";
  if (status !== "active" || !reconnectBefore) return null;
  return `Connect again before ${DAY.format(new Date(reconnectBefore))}. ${reconnectHint ?? ""}`.trim();
}

export function unfinishedLoginTexts({ provider, startedAt, status, code }: UnfinishedLogin): UnfinishedLoginTexts {
  const product = PRODUCT[provider];
  const start = new Date(startedAt);
  const isToday = start.toDateString() === new Date().toDateString();
  return {
    product,
    title: `Your ${product} login ${isToday ? "" : `on ${DAY.format(start)} `}at ${TIME.format(start)}`,
    state:
      status === "pending"
        ? "Still being completed, because Meta did not respond in time. Its accounts will appear here automatically."
        : `This login could not be completed. ${NEXT_STEPS[code ?? ""] ?? "Connect again."}`,
  };
}

interface UnfinishedLoginTexts {
  product: string;
  title: string;
  state: string;
}

export function originText({ provider, pageName, followersCount }: Account): string {
  const origin = provider === "instagram" ? "Instagram" : `Facebook Page ${pageName ?? ""}`.trim();
  const followers =
    followersCount === null ? [] : [`${NUMBER.format(followersCount)} follower${followersCount === 1 ? "" : "s"}`];
  return [origin, ...followers].join(" · ");
}

export function connectedText({ accounts, pending }: Connection): string {
  const names = LIST.format(accounts.map(nameOf));
  if (!pending) return `Connected: ${names}.`;
  return names
    ? `Your login worked. ${names} ${accounts.length === 1 ? "is" : "are"} being saved and will be ready within a few minutes. This page updates automatically.`
    : "Your login worked and is safely stored. Meta has not listed your accounts yet; they will appear here within a few minutes. You don’t need to connect again.";
}

export type Listed = Pick<AccountList, "accounts" | "unfinishedLogins">;

/** What happened to pending items between two versions of the list; null if nothing did. */
export function changeText(before: Listed, now: Listed): { text: string; isGood: boolean } | null {
  const wasPending = new Set(before.accounts.filter(isPending).map(({ instagramBusinessId }) => instagramBusinessId));
  const pendingLogins = before.unfinishedLogins.filter(isPending);
  const cameFromLogin = (account: Account) =>
    pendingLogins.some(
      ({ provider, startedAt }) =>
        provider === account.provider && Date.parse(account.connectedAt) >= Date.parse(startedAt),
    );
  const stored = now.accounts.filter(
    (account) => account.status === "active" && (wasPending.has(account.instagramBusinessId) || cameFromLogin(account)),
  );
  if (stored.length > 0) return { text: connectedText({ accounts: stored, pending: false }), isGood: true };
  const listed = now.accounts.filter((account) => isPending(account) && cameFromLogin(account));
  if (listed.length > 0) return { text: connectedText({ accounts: listed, pending: true }), isGood: true };
  const hasFailed =
    now.accounts.some(({ instagramBusinessId: id, status }) => status === "needs_reauth" && wasPending.has(id)) ||
    now.unfinishedLogins.some(
      ({ status, startedAt }) =>
        status === "needs_reauth" && pendingLogins.some((login) => login.startedAt === startedAt),
    );
  return hasFailed ? { text: "A login could not be completed. See the list below for what to do.", isGood: false } : null;
}

function isPending({ status }: { status: string }): boolean {
  return status === "pending";
}

export function disconnectedText({ account, revoked }: Disconnection, accounts: Account[]): string {
  const done = `${nameOf(account)} is disconnected.`;
  if (revoked) return done;
  if (account.provider === "instagram") {
    return `${done} Instagram still lists this app. To remove it there too, open Instagram’s settings, “Website permissions”, then “Apps and websites”.`;
  }
  // At Facebook, one grant covers all of a person's accounts: revoking it would disconnect these too.
  const others = accounts.some(
    ({ id, provider, status }) => id !== account.id && provider === "facebook" && status !== "disconnected",
  );
  return others
    ? `${done} Facebook still lists this app, because your other accounts need it.`
    : `${done} Facebook still lists this app. To remove it there too, open Facebook’s settings, then “Business integrations”.`;
}

function nameOf({ username, name, instagramBusinessId }: Account): string {
  return username ? `@${username}` : (name ?? instagramBusinessId);
}
