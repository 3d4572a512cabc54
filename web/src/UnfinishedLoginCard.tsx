import { unfinishedLoginTexts } from "./texts";
import type { UnfinishedLogin } from "./instagram-connect";

interface Props {
  login: UnfinishedLogin;
  isOpening: boolean;
  onConnect: () => void;
}

/** Takes the place of a login's accounts until Meta has listed them. */
export function UnfinishedLoginCard({ login, isOpening, onConnect }: Props) {
  const { product, title, state } = unfinishedLoginTexts(login);
  return (
    <li className={`card account ${login.status}`}>
      <span className="picture" aria-hidden="true">
        {login.status === "pending" ? "…" : "!"}
      </span>
      <div className="about">
        <h3>{title}</h3>
        <p className="state">{state}</p>
      </div>
      <div className="actions">
        {login.status === "needs_reauth" && (
          <button disabled={isOpening} onClick={onConnect} aria-label={`Connect again with ${product}`}>
            Connect again
          </button>
        )}
      </div>
    </li>
  );
}
