/**
 * Supabase Lite on Postgres, made to keep PostgREST's contract: its schema cache is what it was at the last reload, a
 * reload is what `NOTIFY pgrst, 'reload schema'` asks for or a new listening connection makes, grants are what the
 * migrations say, and a lost database is a 503 until it is back.
 */
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const PLATFORM = new URL("platform.sql", import.meta.url);

const options = {
  // A fixed, short wait before reconnecting: the driver's own doubles up to 20 s, and a healed database would look down.
  backoff: () => 0.1,
  connect_timeout: 5,
  onnotice: () => {},
};

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

function connect(url) {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      ...options,
      // The limits under which PostgREST runs service_role on a hosted project; platform.sql sets them for PostgREST.
      connection: { statement_timeout: 8000, lock_timeout: 8000 },
      types: {
        json: { to: 114, from: [114], serialize: jsonText, parse: JSON.parse },
        jsonb: { to: 3802, from: [3802], serialize: jsonText, parse: JSON.parse },
      },
    },
  });
  // At the first request after any table got row level security, Lite grants everything on it to every API role, and
  // would hide each missing or too generous grant. Requests run under their role, with the grants that there are.
  connection.ensureRlsContext = async () => true;
  return connection;
}

function unavailable(code, message) {
  return Response.json({ code, message, details: null, hint: null }, { status: 503, headers: { "Retry-After": "1" } });
}

/** One set of connections with everything that was learnt through them. */
export class Lite {
  #reloads;
  #connection;
  #app;
  #control;
  #isPrepared = false;
  #isListening = false;
  #isAbandoned = false;
  #lastReload = Promise.resolve();
  #nextReload = null;
  #abandon;
  #abandoned = new Promise((resolve) => (this.#abandon = resolve));

  /**
   * With `servesDataApi` false it is there for Auth only, and needs no schema cache. `onLost` is called when Postgres is
   * gone: this object is of no use then, because the driver leaves what was being asked unanswered for ever.
   */
  constructor({ databaseUrl, jwtSecret, keys, servesDataApi, onLost }) {
    this.#reloads = servesDataApi;
    this.#connection = connect(databaseUrl);
    const onclose = () => this.#isPrepared && !this.#isAbandoned && onLost();
    this.#control = postgres(databaseUrl, { ...options, max: 1, max_lifetime: null, onclose });
    this.#app = new App({
      connection: this.#connection,
      auth: { enabled: true, jwt_secret: jwtSecret, publishable_key: keys.publishable, secret_key: keys.secret },
      options: { server: { admin: false } },
    });
  }

  /** Makes the database look like a Supabase project's and starts to listen, however long Postgres takes to come up. */
  async start() {
    const platform = await readFile(PLATFORM, "utf8");
    await this.#persist(async () => {
      await this.#control`select 1`;
      await this.#app.ensureSystemSchema();
      await this.#control.unsafe(platform);
      this.#isPrepared = true;
    });
    if (!this.#reloads) return;
    const onPayload = (payload) => (payload === "reload schema" ? this.#reload() : undefined);
    // The driver listens again by itself, and calls back again, whenever it lost this one connection.
    await this.#persist(() => this.#control.listen("pgrst", onPayload, () => this.#reload()));
  }

  /** Gives everything up; whoever still waits for an answer gets a 503. */
  abandon() {
    this.#isAbandoned = true;
    this.#abandon();
    for (const client of [this.#control, this.#connection.driver]) client.end({ timeout: 0 }).catch(() => {});
  }

  async isReady() {
    return this.#isPrepared && (this.#isListening || !this.#reloads) && this.#isDatabaseUp();
  }

  /** Answers as Lite does; where `isRest`, a lost database as PostgREST answers it. */
  async answer(request, isRest) {
    const isLoaded = this.#isPrepared && (this.#isListening || !isRest);
    if (!isLoaded) {
      const isUp = await this.#isDatabaseUp();
      return isUp
        ? unavailable("PGRST002", "Could not query the database for the schema cache. Retrying.")
        : unavailable("PGRST000", "Database connection error. Retrying the connection.");
    }
    const lost = this.#abandoned.then(() => unavailable("PGRST001", "Database client error. Retrying the connection."));
    const response = await Promise.race([this.#ask(request), lost]);
    if (response.status < 500 || !isRest || (await this.#isDatabaseUp())) return response;
    return unavailable("PGRST000", "Database connection error. Retrying the connection.");
  }

  async #ask(request) {
    try {
      return await this.#app.fetch(request);
    } catch (error) {
      console.error(error);
      return Response.json({ message: "Internal server error" }, { status: 500 });
    }
  }

  /**
   * One after the other: of two at once, the older could end last and put back what it had read. Whatever is asked for
   * while one waits for its turn is served by that one.
   */
  #reload() {
    this.#nextReload ??= this.#lastReload.then(async () => {
      this.#nextReload = null;
      await this.#connection.introspect({ useCache: false });
      this.#isListening = true;
      console.log("Schema cache reloaded");
    });
    const reload = this.#nextReload;
    this.#lastReload = reload.catch(() => {});
    return reload;
  }

  async #isDatabaseUp() {
    return Promise.race([this.#control`select 1`.then(() => true), sleep(1000, false)]).catch(() => false);
  }

  /** Does something until it succeeds or nobody wants it any more. */
  async #persist(action) {
    while (!this.#isAbandoned) {
      try {
        await action();
        return;
      } catch (error) {
        console.error(`Waiting for Postgres: ${error.message}`);
        await sleep(100);
      }
    }
  }
}
