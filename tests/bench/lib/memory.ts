/** How often memory is read, in milliseconds: reading that of all five servers takes 50. */
const EVERY_MS = 500;

/** In MB. */
interface Memory {
  readonly parley: number;
  readonly servers: number;
  readonly together: number;
}

/**
 * Reads the memory of a process and of the servers that listen on these ports of this machine, with all processes that these have
 * started, until it is stopped; gives the most of each. A page that processes share counts once (PSS, in Linux). Null if nothing
 * listens on a port: the server is elsewhere.
 */
export function watchMemory(options: { pid: number; ports: readonly number[] }): {
  stop(): Promise<Memory | null>;
} {
  let peak: Memory = { parley: 0, servers: 0, together: 0 };
  let ended = false;
  const listening = Promise.all(options.ports.map(listenerOn));
  const watch = async () => {
    const listeners = await listening;
    const found = listeners.filter((pid) => pid !== null);
    if (found.length < listeners.length) return null;
    while (!ended) {
      const parley = pssOf([options.pid]);
      const servers = pssOf(withDescendants(found));
      peak = {
        parley: Math.max(peak.parley, parley),
        servers: Math.max(peak.servers, servers),
        together: Math.max(peak.together, parley + servers),
      };
      await new Promise((resume) => setTimeout(resume, EVERY_MS));
    }
    return peak;
  };
  const watched = watch();
  return {
    stop: () => {
      ended = true;
      return watched;
    },
  };
}

async function listenerOn(port: number): Promise<number | null> {
  const { stdout } = await new Deno.Command("ss", { args: ["-ltnpH", `sport = :${port}`] }).output();
  const pid = /pid=(\d+)/.exec(new TextDecoder().decode(stdout))?.[1];
  return pid === undefined ? null : Number(pid);
}

function withDescendants(pids: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${name}/status`))?.[1]);
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  const all = [...pids];
  for (const pid of all) all.push(...children.get(pid) ?? []);
  return all;
}

/** In MB. */
function pssOf(pids: readonly number[]): number {
  const kb = pids.map((pid) => Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0));
  return kb.reduce((sum, each) => sum + each, 0) / 1_024;
}

/** Empty if the process has just ended. */
function read(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
