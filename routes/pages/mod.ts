import type { Route } from "../http/page.ts";

const get = (path: string, load: Route["load"]): Route => ({ method: "GET", path, scope: "read", load });
const post = (path: string, load: Route["load"]): Route => ({ method: "POST", path, scope: "admin", load });

const overview = () => import("./overview/page.tsx");
const pipeline = () => import("./pipeline/page.tsx");
const run = () => import("./run/page.tsx");
const actions = () => import("./pipeline/actions.ts");
const quarantine = () => import("./quarantine/page.tsx");
const playground = () => import("./playground/page.tsx");
const docs = () => import("./docs/page.ts");
const login = () => import("./login/page.tsx");

/** Every page, stream and action. Pages and streams need `read`, actions `admin`. */
export const PAGES: readonly Route[] = [
  { ...get("/", async () => (await overview()).overview), shared: true },
  get("/overview/events", async () => (await overview()).overviewEvents),
  get("/pipelines", async () => (await import("./pipelines/page.tsx")).pipelines),
  get("/pipelines/:dag_id", async () => (await pipeline()).pipeline),
  get("/pipelines/:dag_id/events", async () => (await pipeline()).pipelineEvents),
  post("/pipelines/:dag_id/run", async () => (await actions()).runNow),
  post("/pipelines/:dag_id/pause", async () => (await actions()).pause),
  post("/pipelines/:dag_id/backfill", async () => (await actions()).backfill),
  post("/pipelines/:dag_id/backfills/cancel", async () => (await actions()).endBackfill),
  post("/pipelines/:dag_id/clear", async () => (await actions()).clearMany),
  get("/runs", async () => (await import("./runs/page.tsx")).runs),
  get("/runs/:run_id", async () => (await run()).run),
  get("/runs/:run_id/events", async () => (await run()).runEvents),
  post("/runs/:run_id/retry", async () => (await actions()).retry),
  post("/runs/:run_id/mark", async () => (await actions()).mark),
  post("/runs/:run_id/cancel", async () => (await actions()).cancel),
  get("/data", async () => (await import("./data/page.tsx")).data),
  get("/data/quarantine", async () => (await quarantine()).quarantine),
  post("/data/quarantine/download", async () => (await import("./quarantine/download.ts")).download),
  post("/data/quarantine", async () => (await quarantine()).quarantinedText),
  get("/anomalies", async () => (await import("./anomalies/page.tsx")).anomalies),
  post("/anomalies/acknowledge", async () => (await import("./anomalies/acknowledge.ts")).acknowledge),
  post("/anomalies/unacknowledge", async () => (await import("./anomalies/acknowledge.ts")).unacknowledge),
  get("/engagement", async () => (await import("./engagement/page.tsx")).engagement),
  get("/evaluation", async () => (await import("./evaluation/page.tsx")).evaluation),
  { ...get("/experiments", async () => (await import("./experiments/page.tsx")).experiments), shared: true },
  { ...get("/campaigns", async () => (await import("./campaigns/page.tsx")).campaigns), shared: true },
  {
    ...get("/campaigns/:campaign_id", async () => (await import("./campaign/page.tsx")).campaign),
    shared: true,
  },
  get("/explain", async () => (await import("./explain/page.tsx")).explain),
  get("/playground", async () => (await playground()).playground),
  // It changes nothing: a form is posted since the address of a page is logged, and text must not be.
  { ...post("/playground", async () => (await playground()).tryOut), scope: "read" },
  get("/stores", async () => (await import("./stores/page.tsx")).stores),
  { ...get("/docs", async () => (await docs()).docs), scope: null },
  { ...get("/docs/:file", async () => (await docs()).docsFile), scope: null },
  { ...get("/login", async () => (await login()).login), scope: null },
  { ...post("/login", async () => (await login()).logIn), scope: null },
  { ...post("/logout", async () => (await login()).logOut), scope: "read" },
];
