import { useCallback, useEffect, useRef, useState } from "react";
import { type Account, type AccountList, type InstagramConnect, InstagramConnectError, isWaiting } from "./instagram-connect";

const POLL_MILLISECONDS = 10_000;

/**
 * The user's accounts; null until loaded. Polls while anything in the list is pending, or while it is empty although a
 * login has just worked (`expectsAccounts`).
 */
export function useAccounts(client: InstagramConnect, expectsAccounts: boolean) {
  const [list, setList] = useState<AccountList | null>(null);
  const [problem, setProblem] = useState<InstagramConnectError | null>(null);
  const [polls, setPolls] = useState(0);
  const newestRead = useRef(0);

  const read = useCallback(
    async (isPoll: boolean) => {
      const number = ++newestRead.current;
      const isOutdated = () => number !== newestRead.current;
      try {
        const { accounts, ...rest } = await client.listAccounts();
        if (isOutdated()) return;
        setList({ accounts: accounts.sort(byUsername), ...rest });
        setProblem(null);
      } catch (failure) {
        if (!(failure instanceof InstagramConnectError)) throw failure;
        // The user did not ask for this poll: repeat it silently as long as that can help.
        if (isOutdated() || (isPoll && failure.remedy === "try-again")) return;
        setProblem(failure);
      } finally {
        if (isPoll) setPolls((count) => count + 1);
      }
    },
    [client],
  );
  const load = useCallback(() => read(false), [read]);

  useEffect(() => void load(), [load]);

  const isPolling = list !== null && problem === null && (isWaiting(list) || (expectsAccounts && isEmpty(list)));
  // `list` and `polls` change with every response, which restarts the timer: polls of a slow server never overlap.
  useEffect(() => {
    if (!isPolling) return;
    let isDue = false;
    // A hidden page waits until it is visible again.
    const poll = () => {
      if (!isDue || document.hidden) return;
      isDue = false;
      void read(true);
    };
    const timer = window.setTimeout(() => {
      isDue = true;
      poll();
    }, POLL_MILLISECONDS);
    document.addEventListener("visibilitychange", poll);
    return () => {
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", poll);
    };
  }, [isPolling, list, polls, read]);

  const replace = (changed: Account) => {
    // Discard responses still in flight: they predate the change.
    newestRead.current++;
    setList(
      (known) =>
        known && {
          ...known,
          accounts: known.accounts.map((account) =>
            account.instagramBusinessId === changed.instagramBusinessId ? changed : account,
          ),
        },
    );
  };

  return { list, problem, load, replace };
}

/** The user really has nothing, as opposed to nothing that can be shown right now. */
export function isEmpty({ accounts, unfinishedLogins, complete }: AccountList): boolean {
  return complete && accounts.length === 0 && unfinishedLogins.length === 0;
}

/** A stable order: reconnecting an account does not move it. */
function byUsername(one: Account, other: Account): number {
  return (one.username ?? "").localeCompare(other.username ?? "");
}
