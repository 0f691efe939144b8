/** The files of docs/deploy: what they name exists. */
import assert from "node:assert/strict";
import { parse, parseAllDocuments } from "yaml";
import { z } from "../deps.ts";
import { Environment } from "../lib/settings.ts";
import { ROOT } from "./fixtures/flow.ts";
import { appTest } from "./routes/app.ts";

const read = (path: string) => Deno.readTextFileSync(`${ROOT}${path}`);
const { version, tasks } = JSON.parse(read("deno.json"));

const Container = z.object({
  image: z.string(),
  args: z.array(z.string()),
  env: z.array(z.object({ name: z.string(), value: z.string() })),
  securityContext: z.object({
    readOnlyRootFilesystem: z.literal(true),
    allowPrivilegeEscalation: z.literal(false),
  }),
  readinessProbe: z.object({ httpGet: z.object({ path: z.string() }) }).optional(),
  livenessProbe: z.object({ httpGet: z.object({ path: z.string() }) }).optional(),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
});
const Deployment = z.object({
  kind: z.literal("Deployment"),
  spec: z.object({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()) }),
      spec: z.object({ containers: z.tuple([Container]), volumes: z.array(z.object({ name: z.string() })) }),
    }),
  }),
});

appTest("docs/deploy/kubernetes.yaml has settings, verbs, probes and volumes that exist", async ({ app }) => {
  const documents = parseAllDocuments(read("docs/deploy/kubernetes.yaml"));
  assert.ok(documents.every(({ errors }) => errors.length === 0));
  const objects = documents.map((document) => document.toJS() as { kind: string });
  assert.deepEqual(objects.map(({ kind }) => kind), [
    "PersistentVolumeClaim",
    "Service",
    "Deployment",
    "Deployment",
  ]);
  const verbs: string[] = [];
  for (const object of objects.filter(({ kind }) => kind === "Deployment")) {
    const { spec: { selector, template: { metadata, spec } } } = Deployment.parse(object);
    assert.deepEqual(metadata.labels, selector.matchLabels);
    const { image, args, env, readinessProbe, livenessProbe, volumeMounts } = spec.containers[0];
    assert.equal(image, `parley:${version}`);
    verbs.push(...args);
    for (const { name } of env) assert.ok(name.replace(/_FILE$/, "") in Environment.shape, name);
    for (const probe of [readinessProbe, livenessProbe]) {
      if (probe !== undefined) assert.equal((await app.request(probe.httpGet.path)).status, 200);
    }
    assert.deepEqual(
      volumeMounts.map(({ name }) => name).sort(),
      spec.volumes.map(({ name }) => name).sort(),
    );
  }
  assert.deepEqual(verbs, ["serve", "schedule"]);
  for (const verb of verbs) assert.ok(verb in tasks, verb);
});

Deno.test("docs/deploy/grafana.json asks for metrics that exist, with labels that they have", () => {
  const { panels } = JSON.parse(read("docs/deploy/grafana.json")) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  assert.ok(panels.length > 10);
  const manual = read("docs/operating.md");
  // The table, which is first, has the labels.
  const labels = new Map(
    [...manual.matchAll(/`((?:parley|process)_[a-z_]+)(?:\{([a-z,]+)\})?`/g)].map(([, name, list = ""]) =>
      [
        name!,
        [...list.split(","), "le", "instance"],
      ] as const
    ).reverse(),
  );
  for (const { title, targets } of panels) {
    for (const { expr } of targets) {
      const [, name = "", given = ""] = /((?:parley|process)_[a-z_]+)(?:\{([^}]*)\})?/.exec(expr)!;
      const known = labels.get(name) ?? labels.get(name.replace(/_(bucket|count|sum)$/, ""));
      assert.ok(known !== undefined, `${title}: ${name}`);
      const by = /by \(([^)]*)\)/.exec(expr)?.[1]?.split(", ") ?? [];
      const used = [...by, ...[...given.matchAll(/(\w+)="/g)].map(([, label]) => label!)];
      assert.deepEqual(used.filter((label) => !known.includes(label)), [], title);
    }
  }
});

Deno.test("docs/deploy/alerts.yml has rules as Prometheus reads them", () => {
  const Rules = z.strictObject({
    groups: z.array(z.strictObject({
      name: z.string(),
      rules: z.array(z.strictObject({
        alert: z.string().regex(/^[A-Za-z_]\w*$/),
        expr: z.string(),
        for: z.string().regex(/^\d+[smhd]$/).optional(),
        annotations: z.strictObject({ summary: z.string() }),
      })),
    })),
  });
  Rules.parse(parse(read("docs/deploy/alerts.yml")));
});

Deno.test("docs/deploy/parley.service starts a task that exists, and may write what the task may write", () => {
  const unit = read("docs/deploy/parley.service");
  const lines = unit.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(lines.filter((line) => !/^\[\w+\]$|^[A-Z]\w+=\S/.test(line)), []);
  const [, task] = /^ExecStart=\/usr\/local\/bin\/deno task (\w+)$/m.exec(unit)!;
  assert.match(tasks[task!].command, /--allow-write=\.parley /);
  assert.match(unit, /^WorkingDirectory=\/opt\/parley$/m);
  assert.match(unit, /^ReadWritePaths=\/opt\/parley\/\.parley$/m);
});

Deno.test("docs/deploy/nginx.conf is made of directives and blocks that end", () => {
  const text = read("docs/deploy/nginx.conf").replaceAll(/#.*$/gm, "").trim();
  let depth = 0;
  for (const [token] of text.matchAll(/[^;{}]+;|[^;{}]+\{|\}/g)) {
    depth += token.endsWith("{") ? 1 : token === "}" ? -1 : 0;
  }
  assert.equal(depth, 0);
  assert.equal(text.replaceAll(/\s*(?:[a-z_]+(?:\s+(?:"[^"]*"|[^\s;{}"]+))*\s*[;{]|\})/g, ""), "");
});
