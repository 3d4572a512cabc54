import type { SupabaseClient } from "@supabase/supabase-js";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { signInOrUp } from "./sign-in-or-up";

interface Props {
  supabase: SupabaseClient;
  /** Passed where the user already has an account and something is waiting for them. */
  onSignedIn?: () => void;
}

export function SignIn({ supabase, onSignedIn }: Props) {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const alert = useRef<HTMLParagraphElement>(null);
  useEffect(() => alert.current?.focus(), [error]);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setIsBusy(true);
    setError(null);
    const refused = await signInOrUp(supabase, String(form.get("email")), String(form.get("password")));
    setError(refused);
    setIsBusy(false);
    if (refused === null) onSignedIn?.();
  };

  return (
    <form className="card sign-in" onSubmit={(event) => void submit(event)} aria-label="Sign in">
      <label>
        Email
        <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" minLength={8} required />
      </label>
      {error && (
        <p className="form-error" role="alert" tabIndex={-1} ref={alert}>
          {error}
        </p>
      )}
      <button disabled={isBusy}>{isBusy ? "Signing in…" : "Sign in"}</button>
      {!onSignedIn && (
        <p className="small">New here? Enter your email and a password of at least 8 characters to create an account.</p>
      )}
    </form>
  );
}
