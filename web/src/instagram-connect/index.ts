export { InstagramConnect } from "./client";
export type { Account, Connection, Disconnection, Options, Provider } from "./client";
export { InstagramConnectError } from "./errors";
export type { Actor, Code, Remedy } from "./errors";
export { InstagramCallback } from "./InstagramCallback";
export type { CallbackState } from "./InstagramCallback";
export { Problem } from "./Problem";
