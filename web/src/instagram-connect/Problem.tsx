import { type ReactNode, useEffect, useId, useRef } from "react";
import type { Actor, Code, InstagramConnectError } from "./errors";

interface Props {
  problem: InstagramConnectError;
  /** Start a new login, with `rerequest` if declined permissions must be requested again. */
  onConnectAgain?: ((options: { rerequest: boolean }) => void) | undefined;
  /** Repeat the failed request unchanged. */
  onTryAgain?: (() => void) | undefined;
  onSignIn?: (() => void) | undefined;
}

const HEADINGS: Record<Actor, string> = {
  user: "What you can do",
  page_admin: "For the person who manages the Facebook Page",
  operator: "Only the people who run this app can fix this",
  meta: "The problem is on Meta’s side",
  nobody: "This is usually temporary",
};

/** Used instead of the API's hint where that addresses developers, or where this page knows more. */
const HINTS: Partial<Record<Code, string>> = {
  BUSINESS_PORTFOLIO_NOT_GRANTED:
    "Connect again, choose the Page, and allow access to the business portfolio that owns it.",
  LOGIN_IN_PROGRESS: "Try again in a few seconds to see the result.",
  META_RATE_LIMITED: "Then start the Instagram connection again.",
  OAUTH_CODE_USED: "Check whether the account is already in your list. If not, connect again.",
  REFRESH_IN_PROGRESS: "Try again in a few seconds to see the result.",
  SCOPES_DECLINED:
    "Connect again and leave every permission ticked. Without them this app cannot see or use your Instagram account.",
};

/** Shows what happened, who must act and what to do, with the button that helps. Takes focus when it appears. */
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
      <h3>{HEADINGS[problem.actor]}</h3>
      {isForOperator ? (
        <p>
          {problem.remedy === "none"
            ? "Trying again won’t help until then. Send them the last line of this message."
            : "You can try once more. If it happens again, send them the last line of this message."}
        </p>
      ) : (
        <p>
          {problem.retryAfterSeconds && problem.recoverable ? `Wait ${duration(problem.retryAfterSeconds)}. ` : ""}
          {HINTS[problem.code] ?? problem.hint}
        </p>
      )}
      <Remedy {...{ problem, onConnectAgain, onTryAgain, onSignIn }} />
      {isForOperator && (
        <details>
          <summary>Details for the people who run this app</summary>
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
