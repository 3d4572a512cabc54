import { useEffect, useRef, useState } from "react";
import { AccountPicture } from "./AccountPicture";
import { adviceText, originText, statusText } from "./texts";
import { type Account, type Disconnection, InstagramConnectError, Problem } from "./instagram-connect";

interface Props {
  account: Account;
  isOpening: boolean;
  onConnect: () => void;
  onDisconnect: (id: string) => Promise<Disconnection>;
  onDisconnected: (result: Disconnection) => void;
  onSignInAgain: () => void;
}

export function AccountCard({ account, isOpening, onConnect, onDisconnect, onDisconnected, onSignInAgain }: Props) {
  const [step, setStep] = useState<"idle" | "confirming" | "busy">("idle");
  const [problem, setProblem] = useState<InstagramConnectError | null>(null);

  // A pending account cannot be disconnected yet: it is parked and will still be stored.
  const isStored = account.id !== null && account.status !== "pending";
  const endsSoon = account.status === "active" && Boolean(account.reconnectBefore);
  const advice = adviceText(account);

  const disconnect = async () => {
    if (account.id === null) return;
    setStep("busy");
    setProblem(null);
    try {
      const result = await onDisconnect(account.id);
      setStep("idle");
      onDisconnected(result);
    } catch (failure) {
      if (!(failure instanceof InstagramConnectError)) throw failure;
      setStep("idle");
      setProblem(failure);
    }
  };

  return (
    <li className={`card account ${account.status}`}>
      <AccountPicture account={account} />
      <div className="about">
        <h3>@{account.username ?? account.instagramBusinessId}</h3>
        {account.name && <p>{account.name}</p>}
        <p className="small">{originText(account)}</p>
        <p className="state">{statusText(account)}</p>
        {advice && <p className="advice">{advice}</p>}
      </div>
      <div className="actions">
        {account.status === "needs_reauth" && (
          <button disabled={isOpening} onClick={onConnect}>
            Reconnect
          </button>
        )}
        {(account.status === "disconnected" || endsSoon) && (
          <button className="second" disabled={isOpening} onClick={onConnect}>
            Connect again
          </button>
        )}
        {isStored && account.status !== "disconnected" && step === "idle" && (
          <button className="quiet" onClick={() => setStep("confirming")}>
            Disconnect
          </button>
        )}
      </div>
      {step !== "idle" && (
        <Confirmation
          username={account.username ?? account.instagramBusinessId}
          isBusy={step === "busy"}
          onConfirm={() => void disconnect()}
          onKeep={() => setStep("idle")}
        />
      )}
      {problem && <Problem problem={problem} onTryAgain={() => void disconnect()} onSignIn={onSignInAgain} />}
    </li>
  );
}

interface ConfirmationProps {
  username: string | null;
  isBusy: boolean;
  onConfirm: () => void;
  onKeep: () => void;
}

function Confirmation({ username, isBusy, onConfirm, onKeep }: ConfirmationProps) {
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current?.focus(), []);
  return (
    <div className="confirmation" role="group" aria-label={`Disconnect @${username}?`}>
      <p>Disconnect @{username}? This app will no longer be able to see or use the account.</p>
      <div className="actions">
        <button className="danger" disabled={isBusy} onClick={onConfirm}>
          {isBusy ? "Disconnecting…" : "Yes, disconnect"}
        </button>
        <button className="second" disabled={isBusy} ref={keep} onClick={onKeep}>
          Keep it
        </button>
      </div>
    </div>
  );
}
