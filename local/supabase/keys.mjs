/**
 * The key rules of Supabase's gateway. They apply before Auth and the Data API, and their errors have a message and a
 * hint but no `code`, which distinguishes them from PostgREST's errors.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Paths that a browser opens through a link, which cannot send a header. */
const KEYLESS_PATHS = [/^\/auth\/v1\/(callback|authorize|verify)$/, /^\/auth\/v1\/\.well-known\//];
const BROWSER = /^\s*Mozilla\/5\.0/i;

/** Compares in constant time. */
function matches(given, expected) {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Returns `{role}` for a request with a valid key, else `{refusal}`, the response to send. */
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

/** Returns the bearer token unless it repeats the key, which Supabase's client libraries send if nobody is signed in. */
export function userToken(request, url) {
  const bearer = request.headers.get("authorization")?.match(/^Bearer\s+(.+)$/i)?.[1] ?? null;
  return bearer === (request.headers.get("apikey") ?? url.searchParams.get("apikey")) ? null : bearer;
}

/** Whether a token is not a JWT. Lite would treat the request as anonymous; PostgREST refuses it. */
export function isMalformed(token) {
  return token !== null && token.split(".").length !== 3;
}

/** PostgREST's response to a token that is not a JWT. */
export function refuseToken() {
  const body = { code: "PGRST301", details: null, hint: null, message: "Expected 3 parts in JWT" };
  return Response.json(body, { status: 401, headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } });
}

/** Returns a JWT with which PostgREST runs one request as `role`. */
export function mintToken(role, secret) {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ role, iat: now, exp: now + 60 })}`;
  return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
}
