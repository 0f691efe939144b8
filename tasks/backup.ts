import { z } from "../deps.ts";
import { defineDag } from "../lib/dag/define.ts";
import type { Services } from "./services.ts";

export interface BackupSettings {
  /** Null if it runs only when it is started. */
  readonly backup_schedule: { readonly cron: string; readonly timezone: string } | null;
  /** Copies the embedded stores and removes old copies. */
  readonly backUp: () => Promise<BackupOutput>;
}

/** A type, not an interface: the output of a task is JSON. */
export type BackupOutput = {
  readonly files: number;
  /** How many old copies were removed. */
  readonly removed: number;
  /** Stores on servers, which their own tools copy. */
  readonly on_servers: string[];
};

/** Copies what is embedded, as `deno task backup` does, while other runs write. */
export function backup({ backup_schedule, backUp }: BackupSettings) {
  return defineDag<Services>({
    id: "backup",
    doc: "Copies the embedded stores into the data folder, and removes old copies.",
    ...backup_schedule === null ? {} : { schedule: { ...backup_schedule, catch_up: "latest" } },
    params: z.object({}),
    tasks: [{
      id: "copy",
      doc: "copies, reads the copies in full, and removes old ones",
      run: backUp,
      retries: { count: 1 },
    }],
  });
}
