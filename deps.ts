/**
 * The only door to outside code. Small libraries are re-exported by name; heavy SDKs are loaders, so that a process
 * which does not use one never evaluates it. Versions stand in deno.json and deno.lock alone.
 */
export { circuitBreaker, ConsecutiveBreaker, handleWhen, timeout, TimeoutStrategy } from "cockatiel";
export { Cron } from "croner";
export type { Context, Hono } from "hono";
export { createHash, timingSafeEqual } from "node:crypto";
export { createRequire } from "node:module";
export {
  backup,
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
export { styleText } from "node:util";
export { z } from "zod";

export const loadHono = () => import("hono");
export const loadTransformers = () => import("@huggingface/transformers");
