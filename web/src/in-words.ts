/** What the page says about accounts. */

import type { Account, Connection, Disconnection } from "./instagram-connect";

const NUMBER = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en", { dateStyle: "long" });
const LIST = new Intl.ListFormat("en");

export function statusInWords({ status, tokenExpiresAt }: Account): string {
  switch (status) {
    case "active":
      return tokenExpiresAt
        ? `Connected, login valid until ${DAY.format(new Date(tokenExpiresAt))}`
        : "Connected, login valid without an end date";
    case "needs_reauth":
      return "Meta no longer accepts the login. Reconnect to go on.";
    case "disconnected":
      return "Disconnected";
  }
}

export function originInWords({ provider, pageName, followersCount }: Account): string {
  const origin = provider === "instagram" ? "Instagram" : `Facebook Page ${pageName ?? ""}`.trim();
  const followers =
    followersCount === null ? [] : [`${NUMBER.format(followersCount)} follower${followersCount === 1 ? "" : "s"}`];
  return [origin, ...followers].join(" · ");
}

export function connectedInWords({ accounts, pending }: Connection): string {
  if (pending) return "Connected. It may take some minutes until the account appears here.";
  return `Connected: ${LIST.format(accounts.map(nameOf))}.`;
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
