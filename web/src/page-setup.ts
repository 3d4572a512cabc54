import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { InstagramConnect, InstagramConnectError } from "./instagram-connect";

/** What the page works with, made from what its server says about the system. */
export interface PageSetup {
  supabase: SupabaseClient;
  client: InstagramConnect;
  callbackPath: string;
}

interface Configuration {
  supabaseUrl: string;
  supabasePublishableKey: string;
  /** Null until the functions are deployed. */
  apiUrl: string | null;
  redirectUri: string;
}

/** Rejects with an `InstagramConnectError` when the system is not there yet. */
export async function setUpPage(): Promise<PageSetup> {
  const { apiUrl, redirectUri, ...project } = await readConfiguration();
  if (apiUrl === null) {
    throw notReady("The server is not ready yet.", "Its functions are being deployed. Try again in a minute.");
  }
  const supabase = createClient(project.supabaseUrl, project.supabasePublishableKey, {
    // Else supabase-js takes Meta's answer in the address for one of its own.
    auth: { detectSessionInUrl: false },
  });
  const getAccessToken = async () => (await supabase.auth.getSession()).data.session?.access_token ?? null;
  return {
    supabase,
    client: new InstagramConnect({ apiUrl, redirectUri, getAccessToken }),
    callbackPath: new URL(redirectUri).pathname,
  };
}

async function readConfiguration(): Promise<Configuration> {
  try {
    const answer = await fetch("/config.json", { signal: AbortSignal.timeout(10_000) });
    return (await answer.json()) as Configuration;
  } catch {
    throw notReady("This page cannot be loaded right now.", "Check your internet connection, then try again.");
  }
}

function notReady(error: string, hint: string): InstagramConnectError {
  return new InstagramConnectError({ code: "SERVER_UNREACHABLE", error, hint, actor: "nobody", recoverable: true });
}
