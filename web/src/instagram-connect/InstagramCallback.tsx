import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Connection, InstagramConnect, Provider } from "./client";
import { InstagramConnectError } from "./errors";
import { forgetOutcome, outcomeOf } from "./exchange-once";
import { currentLoginAnswer } from "./login-answer";

export type CallbackState =
  | { step: "working" }
  | { step: "connected"; connection: Connection }
  | {
      step: "problem";
      problem: InstagramConnectError;
      /** The product whose dialog the person came from. */
      provider: Provider;
      /** Hands in the same code again, as it is or after a sign-in. */
      tryAgain: () => void;
    }
  /** Opened without an answer of Meta: by a bookmark, or by a reload after the outcome was shown. */
  | { step: "nothing" };

interface Props {
  client: InstagramConnect;
  /** Called once with the result, for an app that then goes to another page. */
  onConnected?: (connection: Connection) => void;
  children: (state: CallbackState) => ReactNode;
}

/** Belongs at the redirect URI: hands Meta's answer in, once, and lets its child show how that goes. */
export function InstagramCallback({ client, onConnected, children }: Props): ReactNode {
  const [state, setState] = useState<CallbackState>({ step: "working" });
  const [attempt, setAttempt] = useState(0);
  // Not dependencies of the effect: an app may make both anew at every render.
  const latest = useRef({ client, onConnected });
  useEffect(() => {
    latest.current = { client, onConnected };
  });

  useEffect(() => {
    const answer = currentLoginAnswer();
    if (!answer) {
      setState({ step: "nothing" });
      return;
    }
    let isCurrent = true;
    setState({ step: "working" });
    const tryAgain = () => {
      forgetOutcome(answer);
      setAttempt((number) => number + 1);
    };
    outcomeOf(latest.current.client, answer).then(
      (connection) => {
        if (!isCurrent) return;
        setState({ step: "connected", connection });
        latest.current.onConnected?.(connection);
      },
      (problem: InstagramConnectError) => {
        if (isCurrent) setState({ step: "problem", problem, provider: answer.provider, tryAgain });
      },
    );
    return () => {
      isCurrent = false;
    };
  }, [attempt]);

  return children(state);
}
