/** What the page says about accounts. */

import type { Account, AccountList, Connection, Disconnection, Provider, UnfinishedLogin } from "./instagram-connect";

const NUMBER = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const TIME = new Intl.DateTimeFormat("en", { timeStyle: "short", hourCycle: "h23" });
const LIST = new Intl.ListFormat("en");

const PRODUCT: Record<Provider, string> = { facebook: "Facebook", instagram: "Instagram" };

// After this, "within minutes" would no longer be true.
const LONG_MILLISECONDS = 15 * 60_000;

/** What a login that ended later than it was made leaves to do, where that is more than to connect again. */
const WHAT_HELPS: Record<string, string> = {
  ACCOUNT_NOT_PROFESSIONAL:
    "The account is a personal one. Make it a professional one in Instagram’s settings, then connect again.",
  BUSINESS_PORTFOLIO_NOT_GRANTED:
    "Access to the business portfolio that owns the Page was declined. Connect again and allow it.",
  NO_FACEBOOK_PAGE: "No Facebook Page was shared. Connect again and choose yours.",
  NO_INSTAGRAM_ACCOUNT:
    "None of the shared Facebook Pages has a professional Instagram account. Link one in the Page’s settings, then connect again.",
  PERMISSION_MISSING: "A permission is missing. Connect again and leave all of them ticked.",
  RECONNECT_REQUIRED: "Meta no longer accepts it. Connect again.",
  SCOPES_DECLINED: "A permission was declined. Connect again and leave all of them ticked.",
};

export function statusInWords({ status, tokenExpiresAt, connectedAt, reconnectBefore }: Account): string {
  switch (status) {
    case "active":
      if (reconnectBefore) return "Connected";
      return tokenExpiresAt
        ? `Connected, login valid until ${DAY.format(new Date(tokenExpiresAt))}`
        : "Connected, login valid without an end date";
    case "needs_reauth":
      return "Meta no longer accepts the login.";
    case "disconnected":
      return "Disconnected";
    case "pending":
      return Date.now() - Date.parse(connectedAt) < LONG_MILLISECONDS
        ? "Connected. It is being stored and will be ready within minutes."
        : "Connected. Storing it takes longer than usual; nothing is lost, and you need not connect again.";
  }
}

/** What the person does so that the account works again, or goes on working; null when that is nothing. */
export function adviceInWords({ status, reconnectHint, reconnectBefore }: Account): string | null {
  if (status === "needs_reauth") return reconnectHint ?? "Reconnect to go on.";
  if (status !== "active" || !reconnectBefore) return null;
  return `Connect again before ${DAY.format(new Date(reconnectBefore))}. ${reconnectHint ?? ""}`.trim();
}

export function unfinishedInWords({ provider, startedAt, status, code }: UnfinishedLogin): UnfinishedWords {
  const product = PRODUCT[provider];
  const start = new Date(startedAt);
  const isToday = start.toDateString() === new Date().toDateString();
  return {
    product,
    title: `Your login with ${product} of ${isToday ? "" : `${DAY.format(start)}, `}${TIME.format(start)}`,
    state:
      status === "pending"
        ? "It is being completed; Meta did not answer in time. Its accounts appear here by themselves."
        : `It could not be completed. ${WHAT_HELPS[code ?? ""] ?? "Connect again."}`,
  };
}

interface UnfinishedWords {
  product: string;
  title: string;
  state: string;
}

export function originInWords({ provider, pageName, followersCount }: Account): string {
  const origin = provider === "instagram" ? "Instagram" : `Facebook Page ${pageName ?? ""}`.trim();
  const followers =
    followersCount === null ? [] : [`${NUMBER.format(followersCount)} follower${followersCount === 1 ? "" : "s"}`];
  return [origin, ...followers].join(" · ");
}

export function connectedInWords({ accounts, pending }: Connection): string {
  const names = LIST.format(accounts.map(nameOf));
  if (!pending) return `Connected: ${names}.`;
  return names
    ? `Your login worked. ${names} ${accounts.length === 1 ? "is" : "are"} being stored and will be ready within minutes; this page shows it by itself.`
    : "Your login worked and is kept safely. Meta has not named your accounts yet: they appear here within minutes, by themselves. You need not connect again.";
}

export type Listed = Pick<AccountList, "accounts" | "unfinishedLogins">;

/** What became of that which was pending, between two readings of the list; null when there is nothing to tell. */
export function changeInWords(before: Listed, now: Listed): { text: string; isGood: boolean } | null {
  const waited = new Set(before.accounts.filter(isPending).map(({ instagramBusinessId }) => instagramBusinessId));
  const waitedLogins = before.unfinishedLogins.filter(isPending);
  const isOfLogin = (account: Account) =>
    waitedLogins.some(
      ({ provider, startedAt }) =>
        provider === account.provider && Date.parse(account.connectedAt) >= Date.parse(startedAt),
    );
  const stored = now.accounts.filter(
    (account) => account.status === "active" && (waited.has(account.instagramBusinessId) || isOfLogin(account)),
  );
  if (stored.length > 0) return { text: connectedInWords({ accounts: stored, pending: false }), isGood: true };
  const named = now.accounts.filter((account) => isPending(account) && isOfLogin(account));
  if (named.length > 0) return { text: connectedInWords({ accounts: named, pending: true }), isGood: true };
  const hasEnded =
    now.accounts.some(({ instagramBusinessId: id, status }) => status === "needs_reauth" && waited.has(id)) ||
    now.unfinishedLogins.some(
      ({ status, startedAt }) =>
        status === "needs_reauth" && waitedLogins.some((login) => login.startedAt === startedAt),
    );
  return hasEnded ? { text: "A login could not be completed. The list below says what helps.", isGood: false } : null;
}

function isPending({ status }: { status: string }): boolean {
  return status === "pending";
}

export function disconnectedInWords({ account, revoked }: Disconnection, accounts: Account[]): string {
  const done = `${nameOf(account)} is disconnected.`;
  if (revoked) return done;
  if (account.provider === "instagram") {
    return `${done} Instagram still lists this app: to remove it there too, open Instagram’s settings, “Website permissions”, then “Apps and websites”.`;
  }
  // One permission at Facebook serves all accounts of a person: removing it there would disconnect these too.
  const others = accounts.some(
    ({ id, provider, status }) => id !== account.id && provider === "facebook" && status !== "disconnected",
  );
  return others
    ? `${done} Facebook still lists this app, because your other accounts need it.`
    : `${done} Facebook still lists this app: to remove it there too, open Facebook’s settings, then “Business integrations”.`;
}

function nameOf({ username, name, instagramBusinessId }: Account): string {
  return username ? `@${username}` : (name ?? instagramBusinessId);
}
