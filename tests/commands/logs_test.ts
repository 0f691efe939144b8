import assert from "node:assert/strict";
import { requestLog } from "../../commands/logs.ts";
import type { Logger } from "../../lib/telemetry/log.ts";
import type { LogEntry } from "../../routes/http/endpoint.ts";

function levelOf(entry: Partial<LogEntry>): string {
  const levels: string[] = [];
  const at = (level: string) => () => void levels.push(level);
  const logger = { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
  requestLog(logger as unknown as Logger)({
    request_id: "r",
    method: "GET",
    route: "/recommendations/:user_id",
    status: 200,
    ms: 1,
    ...entry,
  });
  return levels.join();
}

Deno.test("requestLog() logs by how an answer came out, and a probe's 503 only by what failed", () => {
  assert.equal(levelOf({}), "info");
  assert.equal(levelOf({ status: 404 }), "info");
  assert.equal(levelOf({ status: 500 }), "error");
  assert.equal(levelOf({ error: "TypeError" }), "error");
  assert.equal(levelOf({ degraded: { graph: "timed out" } }), "warning");
  assert.equal(levelOf({ route: "/readyz" }), "debug");
  assert.equal(levelOf({ route: "/readyz", status: 503 }), "debug");
  assert.equal(levelOf({ route: "/readyz", status: 503, degraded: { analytics: "timed out" } }), "warning");
  assert.equal(levelOf({ route: "/metrics", status: 500, error: "TypeError" }), "error");
});
