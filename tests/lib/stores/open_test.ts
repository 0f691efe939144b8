import assert from "node:assert/strict";
import { datasetName } from "../../../lib/stores/open.ts";

Deno.test("datasetName() follows OpenLineage's naming, and shows no credentials", () => {
  const names: [string, string, string][] = [
    ["postgres://me:secret@db/shop?schema=mine", "postgres://db:5432", "shop.mine.events"],
    ["postgresql://me:secret@db:6000/shop", "postgres://db:6000", "shop.parley.events"],
    ["mongodb://me:secret@db:27017/shop", "mongodb://db:27017", "shop.events"],
    ["bolt://me:secret@db:7687", "bolt://db:7687", "events"],
    ["sqlite:/data/my%20shop.db", "file", "/data/my shop.db/events"],
  ];
  for (const [url, namespace, name] of names) {
    assert.deepEqual(datasetName(new URL(url), "events"), { namespace, name }, url);
  }
});
