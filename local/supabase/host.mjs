/**
 * A stand-in for a Supabase project in one process: the gateway with its key rules, Auth and the Data API.
 *
 * Auth is Supabase Lite. The Data API is Supabase Lite too or, with DATA_API=postgrest, the real PostgREST behind the same
 * gateway. Either way a changed schema stays unknown until someone sends `NOTIFY pgrst, 'reload schema'`. The product
 * exists because this can be forgotten, so nothing here may be more forgiving than PostgREST.
 */
import { serve } from "@hono/node-server";
import { checkKey, isMalformed, mintToken, refuseToken, userToken } from "./keys.mjs";
import { Lite } from "./lite.mjs";

const { DATABASE_URL, GATEWAY_PORT, JWT_SECRET, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY } = process.env;
const POSTGREST_URL = process.env.DATA_API === "postgrest" ? process.env.POSTGREST_URL : null;
const KEYS = { publishable: SUPABASE_PUBLISHABLE_KEY, secret: SUPABASE_SECRET_KEY };
const EXPOSED_HEADERS = "Content-Encoding, Content-Location, Content-Range, Content-Type, Location, Preference-Applied";

let lite;

function startLite() {
  lite?.abandon();
  lite = new Lite({
    databaseUrl: DATABASE_URL,
    jwtSecret: JWT_SECRET,
    keys: KEYS,
    servesDataApi: !POSTGREST_URL,
    onLost: startLite,
  });
  lite.start();
}

/** Returns the request in PostgREST's form: no `/rest/v1` and no `apikey`, and a JWT instead of an `sb_` key. */
async function askPostgrest(request, url, role) {
  const target = new URL(url.pathname.slice("/rest/v1".length) || "/", POSTGREST_URL);
  const headers = new Headers(request.headers);
  if (userToken(request, url) === null) headers.set("authorization", `Bearer ${mintToken(role, JWT_SECRET)}`);
  for (const name of ["apikey", "host", "connection", "content-length"]) headers.delete(name);
  url.searchParams.delete("apikey");
  target.search = url.search;
  const body = ["GET", "HEAD"].includes(request.method) ? undefined : await request.arrayBuffer();
  try {
    return await fetch(target, { method: request.method, headers, body, redirect: "manual" });
  } catch (error) {
    console.error(`PostgREST does not answer: ${error.cause?.message ?? error.message}`);
    return Response.json({ message: "The upstream server is currently unavailable" }, { status: 503 });
  }
}

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

async function health() {
  const isReady = await lite.isReady();
  return Response.json({ ready: isReady, dataApi: POSTGREST_URL ? "postgrest" : "lite" }, { status: isReady ? 200 : 503 });
}

async function route(request, url) {
  if (url.pathname === "/_host/health") return health();
  const isRest = /^\/rest\/v1(\/|$)/.test(url.pathname);
  if (!isRest && !/^\/auth\/v1(\/|$)/.test(url.pathname)) {
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  }
  if (request.method === "OPTIONS" && request.headers.has("access-control-request-method")) return preflight(request);
  const { role, refusal } = checkKey(request, url, KEYS);
  if (refusal) return refusal;
  if (isRest && POSTGREST_URL) return askPostgrest(request, url, role);
  if (isRest && isMalformed(userToken(request, url))) return refuseToken();
  return lite.answer(request, isRest);
}

async function answer(request) {
  const response = await route(request, new URL(request.url));
  const headers = new Headers(response.headers);
  headers.set("Access-Control-Allow-Origin", "*");
  headers.set("Access-Control-Expose-Headers", EXPOSED_HEADERS);
  return new Response(response.body, { status: response.status, headers });
}

// If Postgres dies during a transaction, the driver writes to the closed socket, outside of any promise.
process.on("uncaughtException", (error) => {
  console.error("Starting with new connections:", error);
  startLite();
});
process.on("unhandledRejection", (error) => console.error(`Unhandled: ${error?.message ?? error}`));
process.on("SIGTERM", () => process.exit(0));

startLite();
serve({ fetch: answer, hostname: "127.0.0.1", port: Number(GATEWAY_PORT) });
