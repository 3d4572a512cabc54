import { type AuthError, isAuthRetryableFetchError, type SupabaseClient } from "@supabase/supabase-js";

const WRONG_PASSWORD = "That password is wrong for this email address.";

/** Signs in, or creates an account for a new address; returns an error message if neither worked. */
export async function signInOrUp(supabase: SupabaseClient, email: string, password: string): Promise<string | null> {
  const signedIn = await supabase.auth.signInWithPassword({ email, password });
  if (!signedIn.error) return null;
  if (signedIn.error.code !== "invalid_credentials") return messageFor(signedIn.error);

  // Auth does not say whether the address or the password is wrong. Signing up finds out.
  const signedUp = await supabase.auth.signUp({ email, password });
  if (signedUp.error) return messageFor(signedUp.error);
  if (signedUp.data.session) return null;
  // With email confirmation on, the response for a known address differs only in having no identities.
  if (signedUp.data.user?.identities?.length === 0) return WRONG_PASSWORD;
  return "Your account has been created. Open the link in the email we sent you, then sign in.";
}

function messageFor(error: AuthError): string {
  if (isAuthRetryableFetchError(error)) return "The sign-in service can’t be reached. Try again in a minute.";
  if (error.code === "user_already_exists" || error.code === "email_exists") return WRONG_PASSWORD;
  if (error.code === "over_request_rate_limit") return "Too many attempts. Wait a minute, then try again.";
  return error.message;
}
