/** The events that Parley sends, validated against the schemas of the OpenLineage specification itself. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/2020";
import type { JsonObject } from "../../lib/core/types.ts";
import type { RunEvent } from "../../lib/lineage/events.ts";
import { nightlyRun, ROOT, SAMPLE, withFlow } from "../fixtures/flow.ts";
import { LineageSink, senderTo } from "../fixtures/lineage.ts";
import { brokenEvents, eventsOfAllEnds } from "../fixtures/lineage_events.ts";

const FOLDER = `${ROOT}../shared/openlineage`;

/** The formats in the schemas, which ajv does not define. */
const FORMATS = {
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  uri: (text: string) => URL.canParse(text),
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
};

/** Throws if an event, or a facet in it, breaks the schema that it names. A schema that is not there is refused. */
function specification(): (event: RunEvent) => void {
  const ajv = new Ajv2020({ strict: false, formats: FORMATS });
  const files = [
    "OpenLineage.json",
    ...[...Deno.readDirSync(`${FOLDER}/facets`)].map(({ name }) => `facets/${name}`),
  ];
  for (const file of files) ajv.addSchema(JSON.parse(Deno.readTextFileSync(`${FOLDER}/${file}`)));
  const check = (value: JsonObject, schema: string) => {
    const validate = ajv.getSchema(schema);
    assert.ok(validate !== undefined, `no schema ${schema}`);
    assert.ok(validate(value), `${schema}: ${JSON.stringify(validate.errors)}`);
  };
  return (event) => {
    check(event, event.schemaURL as string);
    for (const facet of facetsIn(event)) check(facet, facet._schemaURL as string);
  };
}

/** Every facet of an event, of its run, job and datasets. */
function facetsIn({ run, job, inputs, outputs }: RunEvent): JsonObject[] {
  return [run, job, ...inputs, ...outputs].flatMap((of) =>
    ["facets", "inputFacets", "outputFacets"].flatMap((kind) =>
      Object.values((of as JsonObject)[kind] ?? {}) as JsonObject[]
    )
  );
}

Deno.test("eventsOf() keeps to the OpenLineage specification, which refuses what the project's own schema refuses", () => {
  const check = specification();
  for (const event of eventsOfAllEnds()) check(event);
  for (const [event, reason] of brokenEvents()) assert.throws(() => check(event), reason);
});

Deno.test("the events of a nightly run keep to the OpenLineage specification", () =>
  withFlow(async (flow) => {
    const sink = new LineageSink().start();
    try {
      const { sender } = senderTo(sink, flow.runs);
      assert.equal((await nightlyRun(flow, SAMPLE)).outcome, "success");
      await sender.close();
      assert.ok(sink.taken.length > 10);
      sink.taken.forEach(specification());
    } finally {
      await sink.stop();
    }
  }));
