import { useEffect, useRef, useState } from "react";
import { AccountCard } from "./AccountCard";
import { ConnectChoice } from "./ConnectChoice";
import { changeText, connectedText, disconnectedText, type Listed } from "./texts";
import { type Connection, type InstagramConnect, needsRerequest, Problem } from "./instagram-connect";
import { UnfinishedLoginCard } from "./UnfinishedLoginCard";
import { isEmpty, useAccounts } from "./use-accounts";
import { useLogin } from "./use-login";

interface Props {
  client: InstagramConnect;
  /** The result of the login that the user is coming back from. */
  connected: Connection | null;
  onSignInAgain: () => void;
}

export function AccountsPage({ client, connected, onSignInAgain }: Props) {
  const login = useLogin(client);
  const expectsAccounts = connected?.pending === true;
  const { list, problem, load, replace } = useAccounts(client, expectsAccounts);
  const [notice, setNotice] = useState<NoticeProps>({
    text: connected ? connectedText(connected) : "",
    isGood: true,
    takesFocus: true,
  });

  // The previous list, to detect what has changed.
  const before = useRef<Listed | null>(connected && { accounts: connected.accounts, unfinishedLogins: [] });
  useEffect(() => {
    if (!list) return;
    const change = before.current && changeText(before.current, list);
    // An empty list may not show a new login's accounts yet: keep the old one, so that they are announced later.
    if (!isEmpty(list)) before.current = list;
    if (change) setNotice({ ...change, takesFocus: false });
  }, [list]);

  const isListed = list !== null && list.accounts.length + list.unfinishedLogins.length > 0;
  return (
    <>
      <h1 id="accounts">Your Instagram accounts</h1>
      <Notice {...notice} />
      {login.problem && <Problem problem={login.problem} onTryAgain={login.tryAgain} onSignIn={onSignInAgain} />}

      <section aria-labelledby="accounts">
        {problem && <Problem problem={problem} onTryAgain={() => void load()} onSignIn={onSignInAgain} />}
        {!list && !problem && <p role="status">Loading your accounts…</p>}
        {list && isEmpty(list) && !expectsAccounts && (
          <p className="card empty">No accounts yet. Connect your first one below; it takes about a minute.</p>
        )}
        {list && isListed && (
          <ul className="accounts">
            {list.unfinishedLogins.map((unfinished) => (
              <UnfinishedLoginCard
                key={`${unfinished.provider} ${unfinished.startedAt}`}
                login={unfinished}
                isOpening={login.opening !== null}
                onConnect={() =>
                  login.start({ provider: unfinished.provider, rerequest: needsRerequest(unfinished.code) })
                }
              />
            ))}
            {list.accounts.map((account) => (
              <AccountCard
                // Not the row's id, which an account has only once it is stored.
                key={account.instagramBusinessId}
                account={account}
                isOpening={login.opening !== null}
                onConnect={() =>
                  login.start({ provider: account.provider, rerequest: needsRerequest(account.reconnectReason) })
                }
                onDisconnect={(id) => client.disconnect(id)}
                onDisconnected={(result) => {
                  replace(result.account);
                  setNotice({ text: disconnectedText(result, list.accounts), isGood: true, takesFocus: true });
                }}
                onSignInAgain={onSignInAgain}
              />
            ))}
          </ul>
        )}
        {list?.complete === false && (
          <p className="card calm" role="status">
            Your other accounts cannot be shown right now. They are safe, and this page will keep trying.
          </p>
        )}
      </section>

      <section aria-labelledby="connect">
        <h2 id="connect">{isListed ? "Connect another account" : "Connect an account"}</h2>
        <ConnectChoice opening={login.opening} onChoose={(provider) => login.start({ provider })} />
      </section>
    </>
  );
}

interface NoticeProps {
  text: string;
  isGood: boolean;
  /** Set after the user's own action, because the button they pressed is gone. */
  takesFocus: boolean;
}

/** Rendered even while empty: screen readers announce changes in it, not its appearance. */
function Notice({ text, isGood, takesFocus }: NoticeProps) {
  const box = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (text && takesFocus) box.current?.focus();
  }, [text, takesFocus]);
  return (
    <p className={isGood ? "notice good" : "notice"} role="status" tabIndex={-1} ref={box}>
      {text}
    </p>
  );
}
