import { useState } from "react";
import { AccountsPage } from "./AccountsPage";
import { CallbackPage } from "./CallbackPage";
import type { Connection } from "./instagram-connect";
import type { PageSetup } from "./page-setup";
import { SignIn } from "./SignIn";
import { usePath } from "./use-path";
import { useSession } from "./use-session";

export function App({ supabase, client, callbackPath }: PageSetup) {
  const session = useSession(supabase);
  const [path, go] = usePath();
  const [connected, setConnected] = useState<Connection | null>(null);

  // Sign out of this browser only; other devices stay signed in.
  const signOut = () => {
    setConnected(null);
    void supabase.auth.signOut({ scope: "local" });
  };

  return (
    <>
      <header>
        <a href="/" className="brand">
          Instagram Connect
        </a>
        {session && (
          <p className="who">
            <span>{session.user.email}</span>
            <button className="quiet" onClick={signOut}>
              Sign out
            </button>
          </p>
        )}
      </header>
      <main>
        {path === callbackPath ? (
          <CallbackPage
            {...{ supabase, client }}
            onConnected={(connection) => {
              setConnected(connection);
              go("/");
            }}
            onLeave={() => go("/")}
          />
        ) : session === undefined ? (
          <p role="status">Loading…</p>
        ) : session === null ? (
          <>
            <h1>Connect your Instagram accounts</h1>
            <p className="lead">Sign in, choose how to log in with Meta, and see which accounts this app can use.</p>
            <SignIn supabase={supabase} />
          </>
        ) : (
          <AccountsPage key={session.user.id} client={client} connected={connected} onSignInAgain={signOut} />
        )}
      </main>
    </>
  );
}
