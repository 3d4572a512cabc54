import { useEffect, useRef, useState } from "react";
import { AccountCard } from "./AccountCard";
import { ConnectChoice } from "./ConnectChoice";
import { changeInWords, connectedInWords, disconnectedInWords, type Listed } from "./in-words";
import { type Connection, type InstagramConnect, needsOtherChoice, Problem } from "./instagram-connect";
import { UnfinishedLoginCard } from "./UnfinishedLoginCard";
import { isEmpty, useAccounts } from "./use-accounts";
import { useLogin } from "./use-login";

interface Props {
  client: InstagramConnect;
  /** What the login that the person comes from has brought. */
  connected: Connection | null;
  onSignInAgain: () => void;
}

export function AccountsPage({ client, connected, onSignInAgain }: Props) {
  const login = useLogin(client);
  const isExpecting = connected?.pending === true;
  const { list, problem, load, replace } = useAccounts(client, isExpecting);
  const [news, setNews] = useState<NewsProps>({
    text: connected ? connectedInWords(connected) : "",
    isGood: true,
    isAnswer: true,
  });

  // What was known last, for telling what has changed since.
  const before = useRef<Listed | null>(connected && { accounts: connected.accounts, unfinishedLogins: [] });
  useEffect(() => {
    if (!list) return;
    const change = before.current && changeInWords(before.current, list);
    // A list that does not show yet what a login has just brought leaves that to be told later.
    if (!isEmpty(list)) before.current = list;
    if (change) setNews({ ...change, isAnswer: false });
  }, [list]);

  const isListed = list !== null && list.accounts.length + list.unfinishedLogins.length > 0;
  return (
    <>
      <h1 id="accounts">Your Instagram accounts</h1>
      <News {...news} />
      {login.problem && <Problem problem={login.problem} onTryAgain={login.tryAgain} onSignIn={onSignInAgain} />}

      <section aria-labelledby="accounts">
        {problem && <Problem problem={problem} onTryAgain={() => void load()} onSignIn={onSignInAgain} />}
        {!list && !problem && <p role="status">Loading your accounts …</p>}
        {list && isEmpty(list) && !isExpecting && (
          <p className="card empty">No account yet. Connect your first one below; it takes about a minute.</p>
        )}
        {list && isListed && (
          <ul className="accounts">
            {list.unfinishedLogins.map((unfinished) => (
              <UnfinishedLoginCard
                key={`${unfinished.provider} ${unfinished.startedAt}`}
                login={unfinished}
                isOpening={login.opening !== null}
                onConnect={() =>
                  login.start({ provider: unfinished.provider, rerequest: needsOtherChoice(unfinished.code) })
                }
              />
            ))}
            {list.accounts.map((account) => (
              <AccountCard
                // Not the row's id, which an account gets only when it is stored.
                key={account.instagramBusinessId}
                account={account}
                isOpening={login.opening !== null}
                onConnect={() =>
                  login.start({ provider: account.provider, rerequest: needsOtherChoice(account.reconnectReason) })
                }
                onDisconnect={(id) => client.disconnect(id)}
                onDisconnected={(result) => {
                  replace(result.account);
                  setNews({ text: disconnectedInWords(result, list.accounts), isGood: true, isAnswer: true });
                }}
                onSignInAgain={onSignInAgain}
              />
            ))}
          </ul>
        )}
        {list?.complete === false && (
          <p className="card calm" role="status">
            Your other accounts cannot be shown right now. They are safe; this page tries again by itself.
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

interface NewsProps {
  text: string;
  isGood: boolean;
  /** To what the person just did: takes the focus then, because what they pressed is gone. */
  isAnswer: boolean;
}

/** There also while it is empty: a screen reader announces what changes in it, not that it appears. */
function News({ text, isGood, isAnswer }: NewsProps) {
  const box = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    if (text && isAnswer) box.current?.focus();
  }, [text, isAnswer]);
  return (
    <p className={isGood ? "news good" : "news"} role="status" tabIndex={-1} ref={box}>
      {text}
    </p>
  );
}
