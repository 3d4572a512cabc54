import { useEffect, useState } from "react";

/** The path in the address bar, and a way to replace it: the two pages need no more of a router. */
export function usePath(): [string, (path: string) => void] {
  const [path, setPath] = useState(window.location.pathname);
  useEffect(() => {
    const follow = () => setPath(window.location.pathname);
    window.addEventListener("popstate", follow);
    return () => window.removeEventListener("popstate", follow);
  }, []);
  const go = (next: string) => {
    // Not pushed: going back to a callback that has been dealt with shows nothing.
    window.history.replaceState(null, "", next);
    setPath(next);
  };
  return [path, go];
}
