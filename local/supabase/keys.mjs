/**
 * The key rules of Supabase's gateway. They come before Auth and Data API, so their answers carry a message and a hint
 * but never a `code`: that is how a client tells them from an error of PostgREST.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Where a browser arrives by following a link, which cannot carry a header. */
const KEYLESS_PATHS = [/^\/auth\/v1\/(callback|authorize|verify)$/, /^\/auth\/v1\/\.well-known\//];
const BROWSER = /^\s*Mozilla\/5\.0/i;

/** Compares without telling, by the time it takes, how much of a guess was right. */
function matches(given, expected) {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Returns `{role}` for a request that may pass, else `{refusal}`, the response to answer with. */
export function checkKey(request, url, keys) {
  if (KEYLESS_PATHS.some((path) => path.test(url.pathname))) return { role: "anon" };
  const key = request.headers.get("apikey") ?? url.searchParams.get("apikey");
  if (!key) {
    return refuse("No API key found in request", "No `apikey` request header or url param was found.");
  }
  if (matches(key, keys.publishable)) return { role: "anon" };
  if (!matches(key, keys.secret)) return refuse("Invalid API key", "Double check your Supabase `apikey`.");
  if (BROWSER.test(request.headers.get("user-agent") ?? "")) {
    return refuse("Forbidden use of secret API key in browser", "Secret API keys bypass row level security. Use a publishable key.");
  }
  return { role: "service_role" };
}

function refuse(message, hint) {
  return { refusal: Response.json({ message, hint }, { status: 401 }) };
}

/** The bearer token, unless it only repeats the key, as Supabase's client libraries do when nobody is signed in. */
export function userToken(request, url) {
  const bearer = request.headers.get("authorization")?.match(/^Bearer\s+(.+)$/i)?.[1] ?? null;
  return bearer === (request.headers.get("apikey") ?? url.searchParams.get("apikey")) ? null : bearer;
}

/** Whether this is no JWT at all. Lite would take its bearer for nobody; PostgREST refuses it. */
export function isMalformed(token) {
  return token !== null && token.split(".").length !== 3;
}

/** PostgREST's answer to a token that is no JWT. */
export function refuseToken() {
  const body = { code: "PGRST301", details: null, hint: null, message: "Expected 3 parts in JWT" };
  return Response.json(body, { status: 401, headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } });
}

/** A JWT that makes PostgREST take `role` for the length of one request. */
export function mintToken(role, secret) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ role, iat: now, exp: now + 60 })}`;
  return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
}
