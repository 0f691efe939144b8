import type { Route } from "../web/page.ts";

const get = (path: string, load: Route["load"]): Route => ({ method: "GET", path, scope: "read", load });
const post = (path: string, load: Route["load"]): Route => ({ method: "POST", path, scope: "admin", load });

const overview = () => import("./overview.tsx");
const pipeline = () => import("./pipeline.tsx");
const run = () => import("./run.tsx");
const actions = () => import("./actions.ts");
const quarantine = () => import("./quarantine.tsx");
const login = () => import("./login.tsx");

/** Every page, stream and action. `read` sees them, `admin` acts. */
export const PAGES: readonly Route[] = [
  get("/", async () => (await overview()).overview),
  get("/overview/events", async () => (await overview()).overviewEvents),
  get("/pipelines", async () => (await import("./pipelines.tsx")).pipelines),
  get("/pipelines/:dag_id", async () => (await pipeline()).pipeline),
  get("/pipelines/:dag_id/events", async () => (await pipeline()).pipelineEvents),
  post("/pipelines/:dag_id/run", async () => (await actions()).runNow),
  post("/pipelines/:dag_id/pause", async () => (await actions()).pause),
  post("/pipelines/:dag_id/backfill", async () => (await actions()).backfill),
  get("/runs", async () => (await import("./runs.tsx")).runs),
  get("/runs/:run_id", async () => (await run()).run),
  get("/runs/:run_id/events", async () => (await run()).runEvents),
  post("/runs/:run_id/retry", async () => (await actions()).retry),
  post("/runs/:run_id/cancel", async () => (await actions()).cancel),
  get("/data", async () => (await import("./data.tsx")).data),
  get("/data/quarantine", async () => (await quarantine()).quarantine),
  post("/data/quarantine/download", async () => (await import("./quarantine_download.ts")).download),
  post("/data/quarantine", async () => (await quarantine()).quarantinedText),
  get("/anomalies", async () => (await import("./anomalies.tsx")).anomalies),
  post("/anomalies/acknowledge", async () => (await import("./acknowledge.ts")).acknowledge),
  post("/anomalies/unacknowledge", async () => (await import("./acknowledge.ts")).unacknowledge),
  get("/engagement", async () => (await import("./engagement.tsx")).engagement),
  get("/explain", async () => (await import("./explain.tsx")).explain),
  get("/stores", async () => (await import("./stores.tsx")).stores),
  { ...get("/login", async () => (await login()).login), scope: null },
  { ...post("/login", async () => (await login()).logIn), scope: null },
  { ...post("/logout", async () => (await login()).logOut), scope: "read" },
];
