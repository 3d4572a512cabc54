import { type AuthError, isAuthRetryableFetchError, type SupabaseClient } from "@supabase/supabase-js";

const WRONG_PASSWORD = "The password is wrong for this e-mail address.";

/** Signs in, or makes an account for a new address; returns what to tell the person when neither worked. */
export async function signInOrUp(supabase: SupabaseClient, email: string, password: string): Promise<string | null> {
  const signedIn = await supabase.auth.signInWithPassword({ email, password });
  if (!signedIn.error) return null;
  if (signedIn.error.code !== "invalid_credentials") return inWords(signedIn.error);

  // Auth does not say whether it is the address or the password. Signing up tells.
  const signedUp = await supabase.auth.signUp({ email, password });
  if (signedUp.error) return inWords(signedUp.error);
  if (signedUp.data.session) return null;
  // With confirmation by e-mail, a known address gets an answer that only lacks identities.
  if (signedUp.data.user?.identities?.length === 0) return WRONG_PASSWORD;
  return "Your account is made. Open the link in the e-mail that was sent to you, then sign in.";
}

function inWords(error: AuthError): string {
  if (isAuthRetryableFetchError(error)) return "The sign-in service cannot be reached. Try again in a minute.";
  if (error.code === "user_already_exists" || error.code === "email_exists") return WRONG_PASSWORD;
  if (error.code === "over_request_rate_limit") return "Too many attempts. Wait a minute, then try again.";
  return error.message;
}
