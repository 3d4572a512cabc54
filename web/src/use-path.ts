import { useEffect, useState } from "react";

/** The current path and a function to replace it; two pages need no more of a router. */
export function usePath(): [string, (path: string) => void] {
  const [path, setPath] = useState(window.location.pathname);
  useEffect(() => {
    const follow = () => setPath(window.location.pathname);
    window.addEventListener("popstate", follow);
    return () => window.removeEventListener("popstate", follow);
  }, []);
  const go = (next: string) => {
    // Replaced, not pushed: going back to a finished callback would show nothing.
    window.history.replaceState(null, "", next);
    setPath(next);
  };
  return [path, go];
}
