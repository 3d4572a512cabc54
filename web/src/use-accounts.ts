import { useCallback, useEffect, useState } from "react";
import { type Account, type InstagramConnect, InstagramConnectError } from "./instagram-connect";

/** The user's accounts; null until they are there. */
export function useAccounts(client: InstagramConnect) {
  const [accounts, setAccounts] = useState<Account[] | null>(null);
  const [problem, setProblem] = useState<InstagramConnectError | null>(null);

  const load = useCallback(async () => {
    try {
      setAccounts((await client.listAccounts()).sort(byUsername));
      setProblem(null);
    } catch (failure) {
      if (!(failure instanceof InstagramConnectError)) throw failure;
      setProblem(failure);
    }
  }, [client]);

  useEffect(() => void load(), [load]);

  const replace = (changed: Account) =>
    setAccounts((known) => known && known.map((account) => (account.id === changed.id ? changed : account)));

  return { accounts, problem, load, replace };
}

/** An order that stays as it is when an account is connected again. */
function byUsername(one: Account, other: Account): number {
  return (one.username ?? "").localeCompare(other.username ?? "");
}
