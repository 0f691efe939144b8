import assert from "node:assert/strict";
import { SMTPServer } from "smtp-server";
import { Webhook } from "standardwebhooks";
import { iso } from "../../../lib/core/clock.ts";
import { newTask } from "../../../lib/dag/state.ts";
import type { OpenAnomaly } from "../../../lib/monitoring/acknowledge.ts";
import { testMessage } from "../../../lib/notifications/message.ts";
import { notifyAnomalies } from "../../../lib/notifications/notify_anomalies.ts";
import {
  type NotificationSettings,
  notificationSink,
  notifiersOf,
} from "../../../lib/notifications/sinks.ts";
import { OutboxSender } from "../../../lib/outbox/sender.ts";
import type { RunStore } from "../../../lib/stores/runs/port.ts";
import { until, withRuns, withRunsFile } from "../../fixtures/dag.ts";
import { senderOptions } from "../../fixtures/lineage.ts";
import { runOf, T0 } from "../../fixtures/runs.ts";

const SECRET = `whsec_${btoa("a secret of two dozen bytes and more")}`;
const NOWHERE: NotificationSettings = { webhook: null, slack: null, email: null };
const LIMITS = { timeout_ms: 5_000, signal: new AbortController().signal };
const MESSAGE = testMessage(iso(T0));
/** 1,000 with `deno task test:long`. */
const RUNS = Number(Deno.env.get("PARLEY_TEST_NOTIFICATIONS") ?? 100);
const ERROR = "what a user said";

/** Answers each request as `answer` says, by its number from 1 on. */
async function withServer(
  answer: (request: Request, body: string, count: number) => number,
  use: (url: URL) => Promise<void>,
): Promise<void> {
  let count = 0;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => new Response(null, { status: answer(request, await request.text(), ++count) }),
  );
  try {
    await use(new URL(`http://127.0.0.1:${server.addr.port}/hook`));
  } finally {
    await server.shutdown();
  }
}

/** Ends a run of a dag of its own, with an error that quotes data. */
async function fail(runs: RunStore, run_id: string): Promise<void> {
  await runs.create({ run: runOf(run_id, { dag_id: `dag-${run_id}` }), tasks: [newTask("embed")] });
  const run = { state: "failed" as const, started_at: iso(T0), ended_at: iso(T0), error: ERROR };
  const tasks = [{ ...newTask("embed"), state: "failed" as const, error: ERROR, output: ERROR }];
  await runs.revise({ run_id, now: T0, plan: () => ({ run, tasks }) });
}

Deno.test("of many runs' notifications a sink that fails a third of the time gets all, in order", () =>
  withRunsFile(async ({ open }) => {
    const runs = open();
    const ids: string[] = [];
    const taken: string[] = [];
    // Of three requests one fails: before the sink has taken it, or after that, when only the answer is lost.
    await withServer((request, body, count) => {
      const { type, data } = new Webhook(SECRET).verify(
        body,
        Object.fromEntries(request.headers),
      ) as { type: string; data: { run_id: string } };
      assert.deepEqual([type, body.includes(ERROR)], ["run.failed", false]);
      if (count % 6 === 0) return 503;
      const id = request.headers.get("webhook-id")!;
      if (!ids.includes(id)) {
        ids.push(id);
        taken.push(data.run_id);
      }
      return count % 6 === 3 ? 500 : 204;
    }, async (url) => {
      const [notifier] = notifiersOf({ ...NOWHERE, webhook: { url, secret: SECRET } });
      const stores = [runs, open()];
      await runs.takeNotifications({ sink: "webhook", now: T0, again_at: T0, limit: 1 });
      const senders = stores.map((store) =>
        new OutboxSender(notificationSink(store, notifier!), { ...senderOptions(), random: () => 0 })
      );
      const expected = Array.from({ length: RUNS }, (_, n) => `r${n}`);
      for (const run_id of expected) await fail(runs, run_id);
      await until(async () => (await runs.sinkBacklogs())[0]!.pending === 0);
      for (const sender of senders) await sender.close();
      assert.deepEqual(taken, expected);
    });
  }));

Deno.test("a notification that is refused holds the others back, and the log says what to do", () =>
  withRuns(async (runs) => {
    const texts: string[] = [];
    let status = 404;
    await withServer((_, body) => {
      if (status === 200) texts.push(JSON.parse(body).text);
      return status;
    }, async (url) => {
      const [notifier] = notifiersOf({ ...NOWHERE, slack: url });
      await runs.takeNotifications({ sink: "slack", now: T0, again_at: T0, limit: 1 });
      const send = () => {
        const options = senderOptions();
        return {
          sender: new OutboxSender(notificationSink(runs, notifier!), options),
          log: options.log.lines,
        };
      };
      for (const run_id of ["r1", "<r2>"]) await fail(runs, run_id);
      const { sender, log } = send();
      await until(() => log.length > 0);
      await sender.close();
      assert.match(log[0]!, /^warning: the slack sink .* answers with HTTP 404: see PARLEY_NOTIFY_SLACK; /);
      status = 200;
      await runs.markNotified({ sink: "slack", seq: 0, due_at: 0 });
      const { sender: next } = send();
      await until(() => texts.length === 2);
      await next.close();
      assert.match(texts[0]!, /^\*dag-r1 failed at embed\*\nThe run r1 of .*`deno task pipeline status r1`/);
      assert.match(texts[1]!, /&lt;r2&gt;/);
    });
  }));

Deno.test("mails go to every address, and a refused login names the setting", async () => {
  const mails: { to: string[]; text: string }[] = [];
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    onAuth: ({ username, password }, _session, done) =>
      password === "p@ss" ? done(null, { user: username }) : done(new Error("no")),
    onData: async (stream, { envelope }, done) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      mails.push({
        to: envelope.rcptTo.map(({ address }) => address),
        text: await new Blob(chunks as BlobPart[]).text(),
      });
      done();
    },
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", () => listening()));
  const { port } = server.server.address() as { port: number };
  const to = ["ops@shop.example", "ann@shop.example"];
  const mailer = (password: string) => {
    const smtp = new URL(`smtp://parley:${password}@127.0.0.1:${port}`);
    return notifiersOf({ ...NOWHERE, email: { smtp, from: "parley@shop.example", to } })[0]!;
  };
  assert.deepEqual(await mailer("p%40ss").send(MESSAGE, LIMITS), { kind: "taken" });
  assert.deepEqual(mails[0]!.to, to);
  assert.match(mails[0]!.text, /Subject: A test of Parley's notifications\r\n/);
  assert.match(mails[0]!.text, new RegExp(`Message-ID: <${MESSAGE.id}@shop.example>`));
  const refused = await mailer("wrong").send(MESSAGE, LIMITS);
  assert.deepEqual([refused.kind, "reason" in refused && refused.reason], [
    "failed",
    "refuses the login: see PARLEY_SMTP",
  ]);
  await new Promise<void>((closed) => server.close(closed));
  const down = await mailer("p%40ss").send(MESSAGE, LIMITS);
  assert.deepEqual([down.kind, "reason" in down && down.reason], ["failed", "cannot be reached"]);
});

Deno.test("notifyAnomalies() reports critical anomalies that are not acknowledged, and their end", () =>
  withRuns(async (runs) => {
    const clock = { now: () => T0 };
    const of = (id: string, rest: Partial<OpenAnomaly> = {}): OpenAnomaly => ({
      ...{ id, code: "store_unreachable", severity: "critical", figure: 0, expected: 1, unit: "stores" },
      ...{
        since: iso(T0),
        run_id: null,
        subject: { kind: "store", store: id },
        text: "It is down; start it",
      },
      ...{ acknowledged: null, ...rest },
    } as OpenAnomaly);
    const acknowledged = { by: "ann", at: iso(T0), until: iso(T0 + 1) };
    const open = [
      of("a"),
      of("b", { acknowledged }),
      of("c", { severity: "warning" }),
      of("d", { code: "run_failed" }),
      of("e", { subject: { kind: "api", measure: "errors" } }),
    ];
    for (const now of [open, open, [], [], open]) await notifyAnomalies({ runs, open: now, clock });
    const added = (await runs.notifications({ limit: 9 })).reverse();
    assert.deepEqual(added.map(({ type, facts }) => [type, facts]), [
      ["anomaly.opened", { anomaly_id: "a", cause: "It is down" }],
      ["anomaly.ended", { anomaly_id: "a" }],
      ["anomaly.opened", { anomaly_id: "a", cause: "It is down" }],
    ]);
  }));
