import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { InstagramConnect, InstagramConnectError } from "./instagram-connect";

/** The clients that the page uses, built from the server's configuration. */
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

/** Rejects with an `InstagramConnectError` if the system is not up yet. */
export async function setUpPage(): Promise<PageSetup> {
  const { apiUrl, redirectUri, ...project } = await readConfiguration();
  if (apiUrl === null) {
    throw notReady("The server is not ready yet.", "It is still being deployed. Try again in a minute.");
  }
  const supabase = createClient(project.supabaseUrl, project.supabasePublishableKey, {
    // Otherwise supabase-js mistakes Meta's response in the URL for one of its own.
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
    const response = await fetch("/config.json", { signal: AbortSignal.timeout(10_000) });
    return (await response.json()) as Configuration;
  } catch {
    throw notReady("This page cannot be loaded right now.", "Check your internet connection, then try again.");
  }
}

function notReady(error: string, hint: string): InstagramConnectError {
  return new InstagramConnectError({ code: "SERVER_UNREACHABLE", error, hint, actor: "nobody", recoverable: true });
}
