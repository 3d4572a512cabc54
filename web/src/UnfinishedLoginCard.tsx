import { unfinishedInWords } from "./in-words";
import type { UnfinishedLogin } from "./instagram-connect";

interface Props {
  login: UnfinishedLogin;
  isOpening: boolean;
  onConnect: () => void;
}

/** Stands where the accounts of a login will be, until Meta has named them. */
export function UnfinishedLoginCard({ login, isOpening, onConnect }: Props) {
  const { product, title, state } = unfinishedInWords(login);
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
