import { type ReactNode, useEffect, useId, useRef } from "react";
import type { Actor, Code, InstagramConnectError } from "./errors";

interface Props {
  problem: InstagramConnectError;
  /** Start a new login; with `rerequest` when declined permissions have to be asked for again. */
  onConnectAgain?: ((options: { rerequest: boolean }) => void) | undefined;
  /** Repeat what failed, unchanged. */
  onTryAgain?: (() => void) | undefined;
  onSignIn?: (() => void) | undefined;
}

const WHO_ACTS: Record<Actor, string> = {
  user: "What you can do",
  page_admin: "For whoever manages the Facebook Page",
  operator: "The people who run this app have to fix this",
  meta: "The cause is at Meta",
  nobody: "This usually passes by itself",
};

/** Where the API's hint speaks to developers, or more can be said to the person than the API knows. */
const WHAT_TO_DO: Partial<Record<Code, string>> = {
  BUSINESS_PORTFOLIO_NOT_GRANTED:
    "Connect again, choose the Page, and allow access to the business portfolio that owns it.",
  LOGIN_IN_PROGRESS: "Try again in some seconds: this page then shows how the login ended.",
  META_RATE_LIMITED: "Start the Instagram connection again after a while.",
  OAUTH_CODE_USED: "Look whether the account is in your list already. If not, connect again.",
  REFRESH_IN_PROGRESS: "Try again when that has ended: this page then shows what came of it.",
  SCOPES_DECLINED:
    "Connect again and leave every permission ticked. Without them this app cannot see or work with your Instagram account.",
};

/** Says what happened, who must act, what to do, and offers the button that fits. Takes the focus when it appears. */
export function Problem({ problem, onConnectAgain, onTryAgain, onSignIn }: Props): ReactNode {
  const box = useRef<HTMLDivElement>(null);
  const title = useId();
  useEffect(() => box.current?.focus(), [problem]);

  const isForOperator = problem.actor === "operator";
  const reference = [problem.code, problem.reason].filter(Boolean).join(" / ");
  return (
    <div className="problem" data-code={problem.code} role="alert" tabIndex={-1} ref={box} aria-labelledby={title}>
      <h2 id={title}>{problem.message}</h2>
      {problem.details && problem.details !== problem.message && <p>{problem.details}</p>}
      <h3>{WHO_ACTS[problem.actor]}</h3>
      {isForOperator ? (
        <p>
          {problem.remedy === "none"
            ? "Trying again does not help until then. Send them the last line of this message."
            : "You may try once more. If it happens again, send them the last line of this message."}
        </p>
      ) : (
        <p>
          {problem.retryAfterSeconds && problem.recoverable ? `Wait ${duration(problem.retryAfterSeconds)}. ` : ""}
          {WHAT_TO_DO[problem.code] ?? problem.hint}
        </p>
      )}
      <Remedy {...{ problem, onConnectAgain, onTryAgain, onSignIn }} />
      {isForOperator && (
        <details>
          <summary>For the people who run this app</summary>
          <p>{problem.hint}</p>
        </details>
      )}
      <p className="problem-reference">
        {reference}
        {problem.requestId && (
          <>
            {" · request "}
            <code>{problem.requestId}</code>
          </>
        )}
      </p>
    </div>
  );
}

function Remedy({ problem, onConnectAgain, onTryAgain, onSignIn }: Props): ReactNode {
  const { remedy } = problem;
  if (remedy === "none") return null;
  if (remedy === "sign-in") {
    return onSignIn ? (
      <button type="button" onClick={onSignIn}>
        Sign in again
      </button>
    ) : null;
  }
  if (remedy !== "try-again" && onConnectAgain) {
    return (
      <button type="button" onClick={() => onConnectAgain({ rerequest: remedy === "ask-again" })}>
        Connect again
      </button>
    );
  }
  return onTryAgain ? (
    <button type="button" onClick={onTryAgain}>
      Try again
    </button>
  ) : null;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} seconds`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `about ${minutes} minutes` : `about ${Math.ceil(minutes / 60)} hours`;
}
