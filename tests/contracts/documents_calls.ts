import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import { message, minute } from "../fixtures/rows.ts";
import type { Calls } from "./cancellation.ts";

const page = { after: null, limit: 5 };
const users = { user_ids: ["a", "b"] };
const row = {
  run_id: "r",
  kind: "messages" as const,
  source: "in",
  position: 1,
  reason: "blank",
  raw: "",
  at: minute(1),
};

/** Every method of the documents port, each a call that later calls do not mind. */
export const DOCUMENT_CALLS: Calls<DocumentStore> = {
  upsert: (store, o) => store.upsert({ messages: [message({ user_id: "a" })], ...o }),
  touched: (store, o) => store.touched({ ...page, ...o }),
  touchAll: (store, o) => store.touchAll(o),
  settle: (store, o) => store.settle({ touched: [{ user_id: "a", token: "1" }], ...o }),
  page: (store, o) => store.page({ ...page, ...o }),
  intentCounts: (store, o) => store.intentCounts({ ...users, ...o }),
  classify: (store, o) =>
    store.classify({ rows: [{ message_id: "m", intent: null, score: 0, classifier: "c" }], ...o }),
  unclassified: (store, o) => store.unclassified({ classifier: "c", ...page, ...o }),
  unlabelled: (store, o) => store.unlabelled({ ...page, ...o }),
  classifications: (store, o) => store.classifications({ message_ids: ["m"], ...o }),
  classifierCounts: (store, o) => store.classifierCounts(o),
  labelled: (store, o) => store.labelled({ intent: "buy", limit: 5, ...o }),
  keepClassifier: (store, o) =>
    store.keepClassifier({ classifier: { key: "c", body: "{}" }, examples: ["m"], ...o }),
  classifier: (store, o) => store.classifier(o),
  examples: (store, o) => store.examples({ classifier: "c", ...o }),
  quarantine: (store, o) => store.quarantine({ rows: [row], ...o }),
  quarantined: (store, o) => store.quarantined({ limit: 5, offset: 0, ...o }),
  quarantineReasons: (store, o) => store.quarantineReasons({ limit: 5, ...o }),
  pruneQuarantine: (store, o) => store.pruneQuarantine({ before: minute(9), ...o }),
  deleteUsers: (store, o) => store.deleteUsers({ ...users, ...o }),
  counts: (store, o) => store.counts(o),
  digest: (store, o) => store.digest(o),
  health: (store, o) => store.health(o),
};
