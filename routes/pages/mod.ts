import type { Route } from "../web/page.ts";

const overview = () => import("./overview.tsx");
const pipelines = () => import("./pipelines.tsx");
const pipeline = () => import("./pipeline.tsx");
const runs = () => import("./runs.tsx");
const run = () => import("./run.tsx");
const actions = () => import("./actions.ts");
const login = () => import("./login.tsx");

/** Every page, stream and action, in the order of the navigation. */
export const PAGES: readonly Route[] = [
  { method: "GET", path: "/", scope: "read", load: async () => (await overview()).overview },
  { method: "GET", path: "/pipelines", scope: "read", load: async () => (await pipelines()).pipelines },
  { method: "GET", path: "/pipelines/:dag_id", scope: "read", load: async () => (await pipeline()).pipeline },
  {
    method: "GET",
    path: "/pipelines/:dag_id/events",
    scope: "read",
    load: async () => (await pipeline()).pipelineEvents,
  },
  {
    method: "POST",
    path: "/pipelines/:dag_id/run",
    scope: "admin",
    load: async () => (await actions()).runNow,
  },
  {
    method: "POST",
    path: "/pipelines/:dag_id/pause",
    scope: "admin",
    load: async () => (await actions()).pause,
  },
  {
    method: "POST",
    path: "/pipelines/:dag_id/backfill",
    scope: "admin",
    load: async () => (await actions()).backfill,
  },
  { method: "GET", path: "/runs", scope: "read", load: async () => (await runs()).runs },
  { method: "GET", path: "/runs/:run_id", scope: "read", load: async () => (await run()).run },
  { method: "GET", path: "/runs/:run_id/events", scope: "read", load: async () => (await run()).runEvents },
  { method: "POST", path: "/runs/:run_id/retry", scope: "admin", load: async () => (await actions()).retry },
  {
    method: "POST",
    path: "/runs/:run_id/cancel",
    scope: "admin",
    load: async () => (await actions()).cancel,
  },
  { method: "GET", path: "/login", scope: null, load: async () => (await login()).login },
  { method: "POST", path: "/login", scope: null, load: async () => (await login()).logIn },
  { method: "POST", path: "/logout", scope: "read", load: async () => (await login()).logOut },
];
