import config from "../deno.json" with { type: "json" };

/** Parley's own version, as `deno.json` says it. */
export const VERSION: string = config.version;
