import type { SupabaseClient } from "@supabase/supabase-js";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { signInOrUp } from "./sign-in-or-up";

interface Props {
  supabase: SupabaseClient;
  /** Given where the person has an account already and something waits for them. */
  onSignedIn?: () => void;
}

export function SignIn({ supabase, onSignedIn }: Props) {
  const [isBusy, setIsBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const alert = useRef<HTMLParagraphElement>(null);
  useEffect(() => alert.current?.focus(), [refusal]);

  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setIsBusy(true);
    setRefusal(null);
    const refused = await signInOrUp(supabase, String(form.get("email")), String(form.get("password")));
    setRefusal(refused);
    setIsBusy(false);
    if (refused === null) onSignedIn?.();
  };

  return (
    <form className="card sign-in" onSubmit={(event) => void submit(event)} aria-label="Sign in">
      <label>
        E-mail
        <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password
        <input name="password" type="password" autoComplete="current-password" minLength={8} required />
      </label>
      {refusal && (
        <p className="refusal" role="alert" tabIndex={-1} ref={alert}>
          {refusal}
        </p>
      )}
      <button disabled={isBusy}>{isBusy ? "Signing in …" : "Sign in"}</button>
      {!onSignedIn && (
        <p className="small">New here? Enter your address and a password of at least 8 characters: you get an account.</p>
      )}
    </form>
  );
}
