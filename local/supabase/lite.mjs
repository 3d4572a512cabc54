/**
 * Supabase Lite on Postgres, with PostgREST's behaviour: its schema cache changes only on a reload, which happens on
 * `NOTIFY pgrst, 'reload schema'` and when its listener reconnects; grants are those in the database; and without a
 * database it returns 503.
 */
import { App } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";
import postgres from "postgres";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const PLATFORM = new URL("platform.sql", import.meta.url);

const options = {
  // A short, fixed delay before reconnecting: the driver's own grows to 20 s, so the database would look down for longer.
  backoff: () => 0.1,
  connect_timeout: 5,
  onnotice: () => {},
};

/** Lite passes a function's JSON arguments as text, which the driver would encode a second time. */
function jsonText(value) {
  if (typeof value === "string") {
    try {
      JSON.parse(value);
      return value;
    } catch {
      // a plain string, not yet JSON
    }
  }
  return JSON.stringify(value);
}

function connect(url) {
  const connection = createPostgresConnection({
    url,
    postgresOptions: {
      ...options,
      // The time limits that service_role has on a hosted project; platform.sql sets them for PostgREST.
      connection: { statement_timeout: 8000, lock_timeout: 8000 },
      types: {
        json: { to: 114, from: [114], serialize: jsonText, parse: JSON.parse },
        jsonb: { to: 3802, from: [3802], serialize: jsonText, parse: JSON.parse },
      },
    },
  });
  // When a table gets row-level security, Lite grants everything on it to all API roles, which would hide missing and
  // excessive grants. Here requests run as their role with the grants in the database.
  connection.ensureRlsContext = async () => true;
  return connection;
}

function unavailable(code, message) {
  return Response.json({ code, message, details: null, hint: null }, { status: 503, headers: { "Retry-After": "1" } });
}

/** A set of connections, with the schema read through them. */
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
   * With `servesDataApi` false it serves Auth only and needs no schema cache. `onLost` is called when Postgres is lost:
   * this object must then be replaced, because the driver never settles its pending queries.
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

  /** Waits for Postgres, sets the database up like a Supabase project's, and starts to listen. */
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
    // The driver reconnects by itself if it loses this connection, and then calls back again.
    await this.#persist(() => this.#control.listen("pgrst", onPayload, () => this.#reload()));
  }

  /** Closes everything; pending requests get a 503. */
  abandon() {
    this.#isAbandoned = true;
    this.#abandon();
    for (const client of [this.#control, this.#connection.driver]) client.end({ timeout: 0 }).catch(() => {});
  }

  async isReady() {
    return this.#isPrepared && (this.#isListening || !this.#reloads) && this.#isDatabaseUp();
  }

  /** Responds as Lite does, except that with `isRest` a lost database is reported as PostgREST does. */
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
   * One reload at a time: of two at once, the older could finish last and restore what it had read. Requests made while
   * a reload waits for its turn share that reload.
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

  /** Repeats an action until it succeeds or this object is closed. */
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
