import { Buffer, hash } from "../../deps.ts";
import type { JsonObject } from "../core/types.ts";
import {
  type AttemptRecord,
  type LineageEntry,
  type RunRecord,
  taskInstance,
  type UnsentAttempt,
} from "../stores/runs/port.ts";

/** Where events come from: the namespace of their jobs, and the version of the Parley that makes them. */
interface Origin {
  readonly namespace: string;
  readonly version: string;
}

type EndType = "COMPLETE" | "FAIL" | "ABORT";

interface NamedFacets extends JsonObject {
  readonly namespace: string;
  readonly name: string;
  readonly facets: JsonObject;
}

/** An OpenLineage `RunEvent`, as JSON. */
export interface RunEvent extends JsonObject {
  readonly eventType: "START" | EndType;
  /** ISO 8601 in UTC. */
  readonly eventTime: string;
  readonly run: { readonly runId: string; readonly facets: JsonObject };
  readonly job: NamedFacets;
  readonly inputs: readonly NamedFacets[];
  readonly outputs: readonly NamedFacets[];
}

const SPEC = "https://openlineage.io/spec";

/** As Airflow has it, a task that had nothing to do is complete; the tag `state` distinguishes it from one that did work. */
const ENDS: Readonly<Record<Exclude<AttemptRecord["state"], "running">, EndType>> = Object.freeze({
  success: "COMPLETE",
  skipped: "COMPLETE",
  failed: "FAIL",
  timed_out: "FAIL",
  lost: "FAIL",
  cancelled: "ABORT",
  interrupted: "ABORT",
});

/**
 * The events of an attempt that the sink has yet to get, in order: its start, and once it has ended its end. It is a run of the job
 * `dag.task` within one of the job `dag`. The same attempt gives the same events, so the sink can detect duplicates. They name what was read and written, with
 * versions, columns and sizes. Errors and params are left out, since they may quote data.
 */
export function eventsOf({ run, attempt, lineage, start_sent }: UnsentAttempt, origin: Origin): RunEvent[] {
  const { task_id, state, started_at, ended_at } = attempt;
  const facet = facetsBy(origin);
  const facets = runFacets(run, attempt, origin);
  const jobType = { processingType: "BATCH", integration: "PARLEY", jobType: "TASK" };
  const common = {
    producer: producerOf(origin),
    schemaURL: `${SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent`,
    job: {
      namespace: origin.namespace,
      name: `${run.dag_id}.${taskInstance(task_id).task_id}`,
      facets: { jobType: facet("2-0-4/JobTypeJobFacet", jobType) },
    },
  };
  const runId = uuidOf(origin.namespace, run.created_at, run.run_id, task_id, String(attempt.attempt));
  const used = (direction: LineageEntry["direction"]) =>
    lineage.filter((use) => use.direction === direction).map((use) => dataset(use, run, facet));
  const start: RunEvent = {
    ...common,
    eventType: "START",
    eventTime: started_at,
    run: { runId, facets },
    inputs: [],
    outputs: [],
  };
  if (state === "running" || ended_at === null) return [start];
  const end: RunEvent = {
    ...common,
    eventType: ENDS[state],
    eventTime: ended_at,
    run: { runId, facets: { ...facets, ...endFacets(run, attempt, facet) } },
    inputs: used("input"),
    outputs: used("output"),
  };
  return start_sent ? [end] : [start, end];
}

/** Makes a facet of the specification by its version and name. */
type MakeFacet = (kind: `${string}/${string}Facet`, body: JsonObject) => JsonObject;

function facetsBy(origin: Origin): MakeFacet {
  return (kind, body) => ({
    _producer: producerOf(origin),
    _schemaURL: `${SPEC}/facets/${kind}.json#/$defs/${kind.split("/")[1]}`,
    ...body,
  });
}

function producerOf({ version }: Origin): string {
  return `urn:parley:${version}`;
}

/** The task's run in an outside engine, as OpenLineage's `namespace/job/run`. A namespace may contain a /. */
export const PARENT_RUN =
  /^(?<namespace>.+)\/(?<name>[^/]+)\/(?<runId>[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12})$/;

/** What an attempt is part of: the outside engine's run of its task if that is known, else the run of the dag. */
function parentOf(run: RunRecord, { parent }: AttemptRecord, { namespace }: Origin) {
  const outside = PARENT_RUN.exec(parent ?? "")?.groups;
  if (outside === undefined) {
    return {
      run: { runId: uuidOf(namespace, run.created_at, run.run_id) },
      job: { namespace, name: run.dag_id },
    };
  }
  return {
    run: { runId: outside.runId! },
    job: { namespace: outside.namespace!, name: outside.name! },
  };
}

function runFacets(run: RunRecord, attempt: AttemptRecord, origin: Origin): JsonObject {
  const facet = facetsBy(origin);
  const version = attempt.versions.code ?? origin.version;
  return {
    parent: facet("1-2-0/ParentRunFacet", parentOf(run, attempt, origin)),
    nominalTime: facet("1-0-1/NominalTimeRunFacet", {
      nominalStartTime: run.interval_start,
      nominalEndTime: run.interval_end,
    }),
    processing_engine: facet("1-1-1/ProcessingEngineRunFacet", { name: "Parley", version }),
  };
}

/** What is known once an attempt has ended. */
function endFacets({ run_id }: RunRecord, { state, attempt, versions }: AttemptRecord, facet: MakeFacet) {
  const versionTags = Object.entries(versions).map(([name, version]) => [`version_${name}`, version]);
  const tags = [["run_id", run_id], ["attempt", String(attempt)], ["state", state], ...versionTags];
  const failed = ENDS[state as keyof typeof ENDS] === "FAIL";
  const message = `${state}: \`deno task pipeline status ${run_id}\` says why`;
  return {
    tags: facet("1-0-0/TagsRunFacet", {
      tags: tags.map(([key = "", value = ""]) => ({ key, value, source: "PARLEY" })),
    }),
    ...failed
      ? { errorMessage: facet("1-0-1/ErrorMessageRunFacet", { message, programmingLanguage: "TypeScript" }) }
      : {},
  };
}

function dataset(use: LineageEntry, { run_id, dag_id }: RunRecord, facet: MakeFacet): NamedFacets {
  const { namespace, direction, rows, bytes, version, fields } = use;
  const size = { ...rows === null ? {} : { rowCount: rows }, ...bytes === null ? {} : { size: bytes } };
  const statistics = direction === "input"
    ? { inputFacets: { inputStatistics: facet("1-0-0/InputStatisticsInputDatasetFacet", size) } }
    : { outputFacets: { outputStatistics: facet("1-0-2/OutputStatisticsOutputDatasetFacet", size) } };
  return {
    namespace,
    // What tasks leave for each other has the run's id in its path. Each run's is a version of the same dataset.
    name: use.name.split("/").map((part) => part === run_id ? dag_id : part).join("/"),
    facets: {
      ...version === null
        ? {}
        : { version: facet("1-0-1/DatasetVersionDatasetFacet", { datasetVersion: version }) },
      ...fields.length === 0
        ? {}
        : { schema: facet("1-2-0/SchemaDatasetFacet", { fields: fields.map((name) => ({ name })) }) },
    },
    ...Object.keys(size).length === 0 ? {} : statistics,
  };
}

/** A UUID made of a name, of version 8 (RFC 9562, section 5.8): the first bytes of the name's SHA-256. */
function uuidOf(...name: string[]): string {
  const bytes = Buffer.from(hash("sha256", JSON.stringify(name)), "hex");
  bytes[6] = bytes[6]! & 0x0f | 0x80;
  bytes[8] = bytes[8]! & 0x3f | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
}
