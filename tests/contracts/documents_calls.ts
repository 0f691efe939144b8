import type { DocumentStore } from "../../lib/stores/documents/port.ts";
import { message, minute } from "../fixtures/rows.ts";
import { tombstoneCalls } from "./calls.ts";
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
  upsert: (store, options) => store.upsert({ messages: [message({ user_id: "a" })], ...options }),
  touched: (store, options) => store.listDirtyUsers({ ...page, ...options }),
  markDirty: (store, options) => store.markDirty({ user_ids: ["a"], ...options }),
  markAllDirty: (store, options) => store.markAllDirty(options),
  settle: (store, options) => store.clearDirty({ users: [{ user_id: "a", token: "1" }], ...options }),
  page: (store, options) => store.page({ ...page, ...options }),
  intentCounts: (store, options) => store.intentCounts({ ...users, ...options }),
  classify: (store, options) =>
    store.classify({ rows: [{ message_id: "m", intent: null, score: 0, classifier: "c" }], ...options }),
  unclassified: (store, options) => store.unclassified({ classifier: "c", ...page, ...options }),
  unlabelled: (store, options) => store.unlabelled({ ...page, ...options }),
  classifications: (store, options) => store.classifications({ message_ids: ["m"], ...options }),
  classifierCounts: (store, options) => store.classifierCounts(options),
  labelled: (store, options) => store.labelled({ intent: "buy", limit: 5, ...options }),
  saveClassifier: (store, options) =>
    store.saveClassifier({ classifier: { key: "c", body: "{}" }, examples: ["m"], ...options }),
  classifier: (store, options) => store.classifier(options),
  examples: (store, options) => store.examples({ classifier: "c", ...options }),
  quarantine: (store, options) => store.quarantine({ rows: [row], ...options }),
  quarantined: (store, options) => store.quarantined({ limit: 5, offset: 0, ...options }),
  quarantinePages: (store, options) => Array.fromAsync(store.quarantinePages({ after: null, ...options })),
  quarantineReasons: (store, options) => store.quarantineReasons({ limit: 5, ...options }),
  deleteQuarantined: (store, options) => store.deleteQuarantined({ rows: [row], ...options }),
  ...tombstoneCalls<DocumentStore>(),
  pruneQuarantine: (store, options) => store.pruneQuarantine({ before: minute(9), ...options }),
  deleteUsers: (store, options) => store.deleteUsers({ ...users, ...options }),
  counts: (store, options) => store.counts(options),
  digest: (store, options) => store.digest(options),
  health: (store, options) => store.health(options),
};
