import { useCallback, useEffect, useRef, useState } from "react";
import { type Account, type AccountList, type InstagramConnect, InstagramConnectError, isWaiting } from "./instagram-connect";

const POLL_MILLISECONDS = 10_000;

/**
 * The user's accounts; null until they are there. Read again by itself while something in them is pending, or while
 * they are empty although a login has just worked (`isExpecting`).
 */
export function useAccounts(client: InstagramConnect, isExpecting: boolean) {
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
        // Nobody asked for a poll: one that failed is repeated instead of shown, as long as repeating can help.
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

  const isPolling = list !== null && problem === null && (isWaiting(list) || (isExpecting && isEmpty(list)));
  // `list` and `polls` change with every answer: the next poll is counted from there, so that a slow server is not asked twice.
  useEffect(() => {
    if (!isPolling) return;
    let isDue = false;
    // A page that nobody sees waits until it is seen again.
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
    // An answer that is still on its way knows nothing of the change.
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

/** The user has nothing at all, as opposed to nothing that can be shown now. */
export function isEmpty({ accounts, unfinishedLogins, complete }: AccountList): boolean {
  return complete && accounts.length === 0 && unfinishedLogins.length === 0;
}

/** An order that stays as it is when an account is connected again. */
function byUsername(one: Account, other: Account): number {
  return (one.username ?? "").localeCompare(other.username ?? "");
}
