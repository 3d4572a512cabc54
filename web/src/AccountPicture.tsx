import { useState } from "react";
import type { Account } from "./instagram-connect";

/** Meta's picture URLs expire after a few days; initials then take the picture's place. */
export function AccountPicture({ account }: { account: Account }) {
  const [dead, setDead] = useState<string | null>(null);
  const url = account.profilePictureUrl;
  if (url && url !== dead) {
    return <img className="picture" src={url} alt="" referrerPolicy="no-referrer" onError={() => setDead(url)} />;
  }
  return (
    <span className="picture" aria-hidden="true">
      {initials(account.name ?? account.username ?? "?")}
    </span>
  );
}

function initials(name: string): string {
  const words = name.match(/\p{L}[\p{L}\p{M}’']*|\p{N}+/gu) ?? [];
  return words
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase())
    .join("");
}
