import type { Provider } from "./instagram-connect";

interface Props {
  /** The product whose dialog is being opened. */
  opening: Provider | null;
  onChoose: (provider: Provider) => void;
}

const CHOICES: { provider: Provider; name: string; when: string }[] = [
  {
    provider: "facebook",
    name: "Facebook",
    when: "For accounts linked to Facebook Pages. One login connects all the Pages you choose.",
  },
  {
    provider: "instagram",
    name: "Instagram",
    when: "For a professional account without a Facebook Page. You log in with Instagram directly.",
  },
];

export function ConnectChoice({ opening, onChoose }: Props) {
  return (
    <div className="choices">
      {CHOICES.map(({ provider, name, when }) => (
        <div className="card choice" key={provider}>
          <p id={`when-${provider}`}>{when}</p>
          <button
            className={provider}
            aria-describedby={`when-${provider}`}
            disabled={opening !== null}
            onClick={() => onChoose(provider)}
          >
            {opening === provider ? `Opening ${name}…` : `Connect with ${name}`}
          </button>
        </div>
      ))}
    </div>
  );
}
