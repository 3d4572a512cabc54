import { useEffect, useRef, useState } from "react";
import { AccountCard } from "./AccountCard";
import { ConnectChoice } from "./ConnectChoice";
import { connectedInWords, disconnectedInWords } from "./in-words";
import { type Connection, type InstagramConnect, Problem } from "./instagram-connect";
import { useAccounts } from "./use-accounts";
import { useLogin } from "./use-login";

interface Props {
  client: InstagramConnect;
  /** What the login that the person comes from has brought. */
  connected: Connection | null;
  onSignInAgain: () => void;
}

export function AccountsPage({ client, connected, onSignInAgain }: Props) {
  const login = useLogin(client);
  const { accounts, problem, load, replace } = useAccounts(client);
  const [news, setNews] = useState(connected && connectedInWords(connected));

  return (
    <>
      <h1 id="accounts">Your Instagram accounts</h1>
      {news && <News text={news} />}
      {login.problem && <Problem problem={login.problem} onTryAgain={login.tryAgain} onSignIn={onSignInAgain} />}

      <section aria-labelledby="accounts">
        {problem && <Problem problem={problem} onTryAgain={() => void load()} onSignIn={onSignInAgain} />}
        {!accounts && !problem && <p role="status">Loading your accounts …</p>}
        {accounts?.length === 0 && (
          <p className="card empty">No account yet. Connect your first one below; it takes about a minute.</p>
        )}
        {accounts && accounts.length > 0 && (
          <ul className="accounts">
            {accounts.map((account) => (
              <AccountCard
                key={account.id}
                account={account}
                isOpening={login.opening !== null}
                onConnect={() => login.start({ provider: account.provider })}
                onDisconnect={() => client.disconnect(account.id)}
                onDisconnected={(result) => {
                  replace(result.account);
                  setNews(disconnectedInWords(result, accounts));
                }}
                onSignInAgain={onSignInAgain}
              />
            ))}
          </ul>
        )}
        {connected?.pending && (
          <button className="quiet" onClick={() => void load()}>
            Look again
          </button>
        )}
      </section>

      <section aria-labelledby="connect">
        <h2 id="connect">{accounts?.length ? "Connect another account" : "Connect an account"}</h2>
        <ConnectChoice opening={login.opening} onChoose={(provider) => login.start({ provider })} />
      </section>
    </>
  );
}

/** The result of what the person just did; takes the focus, because what they pressed is gone. */
function News({ text }: { text: string }) {
  const box = useRef<HTMLParagraphElement>(null);
  useEffect(() => box.current?.focus(), [text]);
  return (
    <p className="news" role="status" tabIndex={-1} ref={box}>
      {text}
    </p>
  );
}
