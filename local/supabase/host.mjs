/**
 * One process that stands in for a Supabase project: the gateway with its key rules, Auth and the Data API.
 *
 * Auth is Supabase Lite. The Data API is Supabase Lite too or, with DATA_API=postgrest, the real PostgREST behind the same
 * gateway. Either way a changed schema stays unknown until somebody sends `NOTIFY pgrst, 'reload schema'`: that this can
 * be forgotten is the point of the product, so nothing here may be kinder than PostgREST.
 */
import { serve } from "@hono/node-server";
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { checkKey, isMalformed, mintToken, refuseToken, userToken } from "./keys.mjs";

const { DATABASE_URL, GATEWAY_PORT, JWT_SECRET, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const POSTGREST_URL = process.env.DATA_API === "postgrest" ? process.env.POSTGREST_URL : null;
const KEYS = { publishable: SUPABASE_PUBLISHABLE_KEY, secret: SUPABASE_SECRET_KEY };

// A fixed, short wait before reconnecting: the driver's own doubles up to 20 s, and a healed database would look down.
const postgresOptions = { backoff: () => 0.1, connect_timeout: 5, onnotice: () => {} };

/** Lite hands the JSON arguments of a function over as text, which the driver would encode a second time. */
function jsonText(value) {
  if (typeof value === "string") {
    try {
      JSON.parse(value);
      return value;
    } catch {
      // a plain string, which is not JSON yet
    }
  }
  return JSON.stringify(value);
}

const connection = createPostgresConnection({
  url: DATABASE_URL,
  postgresOptions: {
    ...postgresOptions,
    // The limits under which PostgREST runs service_role on a hosted project; platform.sql sets them for PostgREST.
    connection: { statement_timeout: 8000, lock_timeout: 8000 },
    types: {
      json: { to: 114, from: [114], serialize: jsonText, parse: JSON.parse },
      jsonb: { to: 3802, from: [3802], serialize: jsonText, parse: JSON.parse },
    },
  },
});
// At the first request after any table got row level security, Lite grants everything on it to every API role, and would
// hide each missing or too generous grant of a migration. Requests run under their role, with the grants that there are.
connection.ensureRlsContext = async () => true;

const lite = new App({
  connection,
  auth: {
    enabled: true,
    jwt_secret: JWT_SECRET,
    publishable_key: SUPABASE_PUBLISHABLE_KEY,
    secret_key: SUPABASE_SECRET_KEY,
  },
  options: { server: { admin: false } },
});

const control = postgres(DATABASE_URL, { ...postgresOptions, max: 1 });
let isPrepared = false;
let isListening = Boolean(POSTGREST_URL);

/** Makes the database look like a Supabase project's, however long Postgres takes to come up. */
async function prepare() {
  const platform = await readFile(new URL("platform.sql", import.meta.url), "utf8");
  while (!isPrepared) {
    try {
      await control`select 1`;
      await lite.ensureSystemSchema();
      await control.unsafe(platform);
      await connection.introspect({ useCache: false });
      isPrepared = true;
    } catch (error) {
      console.error(`Waiting for Postgres: ${error.message}`);
      await sleep(250);
    }
  }
}

/** Reloads Lite's schema cache on the payload that PostgREST reloads on, and whenever the listening connection is new. */
async function listen() {
  const reload = async () => {
    await connection.introspect({ useCache: false });
    isListening = true;
    console.log("Schema cache reloaded");
  };
  const onPayload = (payload) => (payload === "reload schema" ? reload() : undefined);
  for (;;) {
    try {
      // The driver listens again by itself, and calls back again, whenever the connection is lost.
      await control.listen("pgrst", onPayload, reload);
      return;
    } catch (error) {
      console.error(`Cannot listen yet: ${error.message}`);
      await sleep(250);
    }
  }
}

async function isDatabaseUp() {
  return Promise.race([control`select 1`.then(() => true), sleep(1000, false)]).catch(() => false);
}

function unavailable(code, message) {
  return Response.json({ code, message, details: null, hint: null }, { status: 503, headers: { "Retry-After": "1" } });
}

/** Auth, and the Data API unless that is PostgREST's, as Supabase Lite answers; a lost database as PostgREST answers. */
async function askLite(request, isRest) {
  if (!isPrepared) return unavailable("PGRST002", "Could not query the database for the schema cache. Retrying.");
  let response;
  try {
    response = await lite.fetch(request);
  } catch (error) {
    console.error(error);
    response = Response.json({ message: "Internal server error" }, { status: 500 });
  }
  if (response.status < 500 || !isRest || (await isDatabaseUp())) return response;
  return unavailable("PGRST000", "Database connection error. Retrying the connection.");
}

/** The request as PostgREST knows it: no `/rest/v1` and no `apikey`, and a JWT instead of an `sb_` key. */
async function askPostgrest(request, url, role) {
  const target = new URL(url.pathname.slice("/rest/v1".length) || "/", POSTGREST_URL);
  const headers = new Headers(request.headers);
  const isUserToken = userToken(request, url) !== null;
  url.searchParams.delete("apikey");
  target.search = url.search;
  if (!isUserToken) headers.set("authorization", `Bearer ${mintToken(role, JWT_SECRET)}`);
  for (const name of ["apikey", "host", "connection", "content-length"]) headers.delete(name);
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.arrayBuffer();
  try {
    const response = await fetch(target, { method: request.method, headers, body, redirect: "manual" });
    return new Response(response.body, { status: response.status, headers: response.headers });
  } catch (error) {
    console.error(`PostgREST does not answer: ${error.cause?.message ?? error.message}`);
    return Response.json({ message: "The upstream server is currently unavailable" }, { status: 503 });
  }
}

const EXPOSED = "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Preference-Applied, Server";

function preflight(request) {
  return new Response(null, {
    status: 204,
    headers: {
      "Access-Control-Allow-Methods": "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD",
      "Access-Control-Allow-Headers": request.headers.get("access-control-request-headers") ?? "*",
      "Access-Control-Max-Age": "3600",
    },
  });
}

async function route(request, url) {
  if (url.pathname === "/_host/health") {
    const isReady = isPrepared && isListening && (await isDatabaseUp());
    return Response.json({ ready: isReady, dataApi: POSTGREST_URL ? "postgrest" : "lite" }, { status: isReady ? 200 : 503 });
  }
  const isRest = /^\/rest\/v1(\/|$)/.test(url.pathname);
  if (!isRest && !/^\/auth\/v1(\/|$)/.test(url.pathname)) {
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  }
  if (request.method === "OPTIONS" && request.headers.has("access-control-request-method")) return preflight(request);
  const { role, refusal } = checkKey(request, url, KEYS);
  if (refusal) return refusal;
  if (isRest && !POSTGREST_URL && isMalformed(userToken(request, url))) return refuseToken();
  return isRest && POSTGREST_URL ? askPostgrest(request, url, role) : askLite(request, isRest);
}

async function answer(request) {
  const response = await route(request, new URL(request.url));
  const headers = new Headers(response.headers);
  headers.set("Access-Control-Allow-Origin", "*");
  headers.set("Access-Control-Expose-Headers", EXPOSED);
  return new Response(response.body, { status: response.status, headers });
}

// A lost database rejects promises deep inside the driver's pool; the next request finds out by itself.
process.on("unhandledRejection", (error) => console.error(`Unhandled: ${error?.message ?? error}`));
process.on("SIGTERM", () => process.exit(0));

serve({ fetch: answer, hostname: "127.0.0.1", port: Number(GATEWAY_PORT) });
await prepare();
if (!POSTGREST_URL) await listen();
console.log("Ready");
