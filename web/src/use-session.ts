import type { Session, SupabaseClient } from "@supabase/supabase-js";
import { useEffect, useState } from "react";

/** The signed-in user's session; null if signed out, undefined until known. */
export function useSession(supabase: SupabaseClient): Session | null | undefined {
  const [session, setSession] = useState<Session | null>();
  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_event, current) => setSession(current));
    return () => data.subscription.unsubscribe();
  }, [supabase]);
  return session;
}
