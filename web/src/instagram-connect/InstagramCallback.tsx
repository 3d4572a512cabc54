import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Connection, InstagramConnect, Provider } from "./client";
import { InstagramConnectError } from "./errors";
import { forgetOutcome, exchangeOnce } from "./exchange-once";
import { currentDialogResponse } from "./dialog-response";

export type CallbackState =
  | { step: "working" }
  | { step: "connected"; connection: Connection }
  | {
      step: "problem";
      problem: InstagramConnectError;
      /** The login product whose dialog the user came from. */
      provider: Provider;
      /** Sends the same code again, for example after signing in. */
      tryAgain: () => void;
    }
  /** Opened without a response from Meta: from a bookmark, or by a reload after the result was shown. */
  | { step: "nothing" };

interface Props {
  client: InstagramConnect;
  /** Called once with the result, for apps that then move to another page. */
  onConnected?: (connection: Connection) => void;
  children: (state: CallbackState) => ReactNode;
}

/** Render this at the redirect URI: it sends Meta's response to the API once, and its child shows the progress. */
export function InstagramCallback({ client, onConnected, children }: Props): ReactNode {
  const [state, setState] = useState<CallbackState>({ step: "working" });
  const [attempt, setAttempt] = useState(0);
  // Not dependencies of the effect: apps may create both anew on every render.
  const latest = useRef({ client, onConnected });
  useEffect(() => {
    latest.current = { client, onConnected };
  });

  useEffect(() => {
    const response = currentDialogResponse();
    if (!response) {
      setState({ step: "nothing" });
      return;
    }
    let isCurrent = true;
    setState({ step: "working" });
    const tryAgain = () => {
      forgetOutcome(response);
      setAttempt((number) => number + 1);
    };
    exchangeOnce(latest.current.client, response).then(
      (connection) => {
        if (!isCurrent) return;
        setState({ step: "connected", connection });
        latest.current.onConnected?.(connection);
      },
      (problem: InstagramConnectError) => {
        if (isCurrent) setState({ step: "problem", problem, provider: response.provider, tryAgain });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [attempt]);

  return children(state);
}
