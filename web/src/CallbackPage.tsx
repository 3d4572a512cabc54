import type { SupabaseClient } from "@supabase/supabase-js";
import { useEffect } from "react";
import { type CallbackState, type Connection, type InstagramConnect, InstagramCallback, Problem } from "./instagram-connect";
import { SignIn } from "./SignIn";
import { useLogin } from "./use-login";

interface Props {
  supabase: SupabaseClient;
  client: InstagramConnect;
  onConnected: (connection: Connection) => void;
  onLeave: () => void;
}

export function CallbackPage({ supabase, client, onConnected, onLeave }: Props) {
  return (
    <InstagramCallback client={client} onConnected={onConnected}>
      {(state) => <Progress {...{ supabase, client, onLeave, state }} />}
    </InstagramCallback>
  );
}

function Progress({ supabase, client, onLeave, state }: Omit<Props, "onConnected"> & { state: CallbackState }) {
  const login = useLogin(client);
  const isLeaving = state.step === "nothing";
  useEffect(() => {
    if (isLeaving) onLeave();
  }, [isLeaving, onLeave]);

  if (state.step !== "problem") {
    return (
      <section className="card working" role="status">
        <span className="spinner" aria-hidden="true" />
        <div>
          <h1>Finishing the connection…</h1>
          <p>You are back from Meta. We are now loading and saving your accounts, which takes a few seconds.</p>
        </div>
      </section>
    );
  }
  if (state.problem.remedy === "sign-in") {
    return (
      <>
        <h1>Sign in to finish the connection</h1>
        <p className="lead" role="status">
          Your session has expired, but your Instagram login is kept. Sign in and the connection will continue.
        </p>
        <SignIn supabase={supabase} onSignedIn={state.tryAgain} />
      </>
    );
  }
  return (
    <>
      <h1>Instagram is not connected yet</h1>
      {login.problem ? (
        <Problem problem={login.problem} onTryAgain={login.tryAgain} onSignIn={onLeave} />
      ) : (
        <Problem
          problem={state.problem}
          onTryAgain={state.tryAgain}
          onConnectAgain={({ rerequest }) => login.start({ provider: state.provider, rerequest })}
        />
      )}
      <p>
        <button className="quiet" onClick={onLeave}>
          Back to your accounts
        </button>
      </p>
    </>
  );
}
