import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { InstagramConnectError, Problem } from "./instagram-connect";
import "./page.css";
import { setUpPage } from "./page-setup";

const root = createRoot(document.getElementById("root") as HTMLElement);

async function start(): Promise<void> {
  try {
    const setup = await setUpPage();
    root.render(
      <StrictMode>
        <App {...setup} />
      </StrictMode>,
    );
  } catch (problem) {
    if (!(problem instanceof InstagramConnectError)) throw problem;
    root.render(
      <StrictMode>
        <main>
          <h1>Instagram Connect</h1>
          <Problem problem={problem} onTryAgain={() => void start()} />
        </main>
      </StrictMode>,
    );
  }
}

void start();
