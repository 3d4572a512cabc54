export { InstagramConnect, isWaiting } from "./client";
export type {
  Account,
  AccountList,
  Connection,
  Disconnection,
  Options,
  Provider,
  UnfinishedLogin,
} from "./client";
export { InstagramConnectError, needsRerequest } from "./errors";
export type { Actor, Code, Remedy } from "./errors";
export { InstagramCallback } from "./InstagramCallback";
export type { CallbackState } from "./InstagramCallback";
export { Problem } from "./Problem";
