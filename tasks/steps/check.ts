import type { JsonObject } from "../../lib/core/types.ts";
import { Fail, type TaskContext } from "../../lib/dag/types.ts";
import { checkData } from "../../lib/quality/checks.ts";
import type { VectorStore } from "../../lib/stores/vectors/port.ts";
import type { Services } from "../services.ts";
import { embeddedStore } from "./store.ts";

/** Looks at the data before it is published. A critical finding fails the run, and the old version stays. */
export async function check(context: TaskContext<Services>): Promise<{ findings: JsonObject[] }> {
  return await checked(context, await embeddedStore(context));
}

/** The same with these vectors. */
export async function checked(
  context: TaskContext<Services>,
  vectors: VectorStore,
): Promise<{ findings: JsonObject[] }> {
  const { documents, analytics, graph } = context.services;
  const findings = await checkData({ documents, analytics, vectors, graph });
  for (const { severity, code, text } of findings) context.log(`${severity} ${code}: ${text}`);
  context.rows({ in: 0, out: findings.length });
  const critical = findings.filter(({ severity }) => severity === "critical");
  if (critical.length > 0) {
    throw new Fail(`not published: ${critical.map(({ text }) => text).join("; ")}`);
  }
  return { findings: findings.map((finding) => ({ ...finding })) };
}
