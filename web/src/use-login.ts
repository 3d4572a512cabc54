import { useEffect, useState } from "react";
import { type InstagramConnect, InstagramConnectError, type Provider } from "./instagram-connect";

interface LoginRequest {
  provider: Provider;
  rerequest?: boolean;
}

/** Starts logins; knows which dialog is being opened, or why it could not be. */
export function useLogin(client: InstagramConnect) {
  const [request, setRequest] = useState<LoginRequest | null>(null);
  const [problem, setProblem] = useState<InstagramConnectError | null>(null);

  // On return from the dialog, the browser may restore this page exactly as it was left.
  useEffect(() => {
    const reset = (event: PageTransitionEvent) => event.persisted && setRequest(null);
    window.addEventListener("pageshow", reset);
    return () => window.removeEventListener("pageshow", reset);
  }, []);

  const start = (wanted: LoginRequest) => {
    setRequest(wanted);
    setProblem(null);
    client.startLogin(wanted).catch((failure: unknown) => {
      if (!(failure instanceof InstagramConnectError)) throw failure;
      setProblem(failure);
    });
  };

  return {
    start,
    problem,
    /** The product whose dialog is being opened. */
    opening: request !== null && problem === null ? request.provider : null,
    tryAgain: () => request && start(request),
  };
}
