// The page of an app that uses Instagram Connect: Supabase Auth signs its user in, Meta's dialog gives a code, the
// backend turns the code into accounts, and the user reads them over the Data API with their own rights.

const SCOPES = [
  "instagram_basic",
  "instagram_manage_comments",
  "instagram_manage_insights",
  "instagram_manage_messages",
  "pages_show_list",
  "pages_read_engagement",
  "pages_manage_metadata",
  "business_management",
];

const element = (id) => document.getElementById(id);
const show = (id, visible) => (element(id).hidden = !visible);
const settings = await (await fetch("/config.json")).json();
let session = JSON.parse(sessionStorage.getItem("session") ?? "null");

async function signIn(email, password) {
  const ask = async (path) => {
    const answer = await fetch(`${settings.supabaseUrl}/auth/v1/${path}`, {
      method: "POST",
      headers: { apikey: settings.supabasePublishableKey, "Content-Type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    return { ok: answer.ok, body: await answer.json() };
  };
  let answer = await ask("token?grant_type=password");
  if (!answer.ok) answer = await ask("signup");
  if (!answer.ok) throw { error: "Signing in did not work.", hint: answer.body.msg ?? "Check the password." };
  session = { token: answer.body.access_token, email: answer.body.user.email };
  sessionStorage.setItem("session", JSON.stringify(session));
}

function openDialog() {
  // Meta gives it back unchanged: an answer to a login that this page did not start is not used.
  const state = crypto.randomUUID();
  sessionStorage.setItem("state", state);
  const question = new URLSearchParams({
    client_id: settings.facebookAppId,
    redirect_uri: settings.redirectUri,
    response_type: "code",
    scope: SCOPES.join(","),
    auth_type: "rerequest",
    state,
  });
  location.assign(`${settings.facebookDialogUrl}/${settings.graphVersion}/dialog/oauth?${question}`);
}

async function finishLogin(answer) {
  // Taken out of the address first, so that going back or reloading does not send the code a second time.
  history.replaceState(null, "", "/");
  const expectedState = sessionStorage.getItem("state");
  sessionStorage.removeItem("state");
  if (answer.has("error")) throw { error: "You cancelled the login.", hint: "Nothing was connected." };
  if (!expectedState || answer.get("state") !== expectedState) {
    throw { error: "This login was not started here.", hint: "Start the connection again on this page." };
  }
  show("progress", true);
  const result = await fetch(`${settings.apiUrl}/api/instagram/exchange-token`, {
    method: "POST",
    headers: { Authorization: `Bearer ${session?.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ code: answer.get("code"), redirectUri: settings.redirectUri, provider: "facebook" }),
  }).catch(() => {
    throw { error: "The server cannot be reached.", hint: "Check your connection, then connect again." };
  });
  const body = await result.json();
  if (!body.success) throw body;
}

async function listAccounts() {
  const columns = "username,name,page_name,profile_picture_url,status";
  const answer = await fetch(`${settings.supabaseUrl}/rest/v1/instagram_business_accounts?select=${columns}`, {
    headers: { apikey: settings.supabasePublishableKey, Authorization: `Bearer ${session.token}` },
  });
  if (answer.status === 401) return signOut();
  const accounts = await answer.json();
  element("accounts").replaceChildren(...accounts.map(accountItem));
  show("connected", accounts.length > 0);
}

function accountItem(account) {
  const item = document.createElement("li");
  const picture = Object.assign(document.createElement("img"), { src: account.profile_picture_url ?? "", alt: "" });
  const text = document.createElement("div");
  const name = Object.assign(document.createElement("strong"), { textContent: `@${account.username}` });
  const page = Object.assign(document.createElement("div"), {
    className: "quiet",
    textContent: `${account.name ?? ""} · Page ${account.page_name ?? ""}`,
  });
  text.append(name, page);
  const state = Object.assign(document.createElement("span"), { className: "state", textContent: account.status });
  item.append(picture, text, state);
  return item;
}

function signOut() {
  sessionStorage.clear();
  session = null;
  render();
}

function render() {
  show("sign-in", !session);
  show("connect", Boolean(session));
  show("progress", false);
  show("connected", false);
  element("email").textContent = session?.email ?? "";
}

async function attempt(action) {
  show("problem", false);
  try {
    await action();
  } catch (problem) {
    element("problem-error").textContent = problem.error ?? "Something went wrong.";
    element("problem-details").textContent = problem.details === problem.error ? "" : (problem.details ?? "");
    element("problem-hint").textContent = problem.hint ?? "";
    element("problem-code").textContent = problem.code ? `${problem.code}, request ${problem.requestId}` : "";
    show("problem", true);
  }
  render();
  if (session) await listAccounts();
}

element("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  attempt(() => signIn(form.get("email"), form.get("password")));
});
element("start").addEventListener("click", openDialog);
element("sign-out").addEventListener("click", signOut);

const answer = new URLSearchParams(location.search);
attempt(async () => {
  if (answer.has("code") || answer.has("error")) await finishLogin(answer);
});
