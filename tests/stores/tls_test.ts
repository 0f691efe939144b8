/** Every server behind TLS: with its authority trusted as docs/operating.md says, and without. */
import assert from "node:assert/strict";
import { runCode } from "../fixtures/run.ts";
import { freshServers, missingServers, type Setting } from "../fixtures/servers.ts";
import { makeCertificates, tlsProxy } from "../fixtures/tls.ts";

/** How a server is reached by TLS. */
interface Way {
  /** Its port, where the URL names none. */
  readonly port: number;
  /** The function that takes its URL. */
  readonly open: string;
  /** The variable that names the authority's file; default `DENO_CERT`. */
  readonly trust?: string;
  /** Whether the client asks for TLS before it begins. */
  readonly asked?: boolean;
  secure(url: URL): string;
  /** What is said where the URL does not ask for the TLS that the server speaks. */
  readonly plain?: RegExp;
}

const WAYS: Readonly<Record<Setting, Way>> = {
  PARLEY_DOCUMENTS: {
    port: 27_017,
    open: "openDocuments",
    secure: (url) => withParameters(url, { tls: "true", directConnection: "true" }),
    plain: /^unavailable .*add \?tls=true to PARLEY_DOCUMENTS/,
  },
  PARLEY_VECTORS: {
    port: 19_530,
    trust: "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    open: "openVectors",
    secure: (url) => url.href.replace(/^milvus:/, "milvuss:"),
    plain: /^unavailable .*if it speaks TLS write milvuss:/,
  },
  PARLEY_GRAPH: {
    port: 7_687,
    open: "openGraph",
    secure: (url) => url.href.replace(/^\w+:/, "bolt+s:"),
    plain: /^mismatch .*if it requires TLS, put \+s behind the scheme/,
  },
  PARLEY_ANALYTICS: {
    port: 5_432,
    open: "openAnalytics",
    asked: true,
    secure: (url) => withParameters(url, { sslmode: "verify-full" }),
  },
  PARLEY_CACHE: {
    port: 6_379,
    open: "openCache",
    secure: (url) => url.href.replace(/^redis:/, "rediss:"),
    plain: /^unavailable .*for TLS,? write rediss:/,
  },
};

function withParameters(url: URL, parameters: Record<string, string>): string {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value);
  return changed.href;
}

/** The scheme or parameter for a server whose certificate need not be trusted. */
const TRUSTING: Partial<Record<Setting, (url: string) => string>> = {
  PARLEY_GRAPH: (url) => url.replace("bolt+s:", "bolt+ssc:"),
  PARLEY_ANALYTICS: (url) => url.replace("verify-full", "require"),
};

const OPEN = JSON.stringify(new URL("../../lib/stores/open.ts", import.meta.url));

/** Asks a store for its health in a process of its own, since trust is a matter of a whole process. */
function health(open: string, url: string, env: Record<string, string>): Promise<string> {
  const code = `
    import { ${open} } from ${OPEN};
    const store = await ${open}(new URL(${JSON.stringify(url)}));
    await store.health().then(({ adapter }) => console.log("up", adapter), (error) =>
      console.log(error.code, error.message));
    await store.close();`;
  return runCode({ code, permissions: ["--allow-all"], env });
}

for (
  const [setting, { port, open, trust = "DENO_CERT", asked = false, secure, plain }] of Object.entries(WAYS)
) {
  const missing = missingServers([setting as Setting]);
  Deno.test({
    name: `${open}() connects by TLS to what it trusts, and to nothing else${
      missing.length > 0 ? `: ${missing} not set` : ""
    }`,
    ignore: missing.length > 0,
    async fn() {
      const dir = await Deno.makeTempDir();
      const { env, drop } = freshServers([setting as Setting]);
      const url = new URL(env[setting]!);
      const certificate = await makeCertificates(dir);
      const proxy = tlsProxy({ hostname: url.hostname, port: Number(url.port || port) }, {
        ...certificate,
        asked,
      });
      url.host = `localhost:${proxy.port}`;
      const address = secure(url);
      try {
        assert.match(await health(open, address, { [trust]: `${dir}/ca.pem` }), /^up \w+$/);
        const refused = await health(open, address, {});
        assert.match(refused, /^(unavailable|mismatch) .*certificate/);
        assert.ok(!refused.includes(`:${url.password}@`), refused);
        if (plain) assert.match(await health(open, url.href.replace(/^neo4j:/, "bolt:"), {}), plain);
        const trusting = TRUSTING[setting as Setting];
        if (trusting) assert.match(await health(open, trusting(address), {}), /^up \w+$/);
      } finally {
        await proxy.close();
        await drop();
        await Deno.remove(dir, { recursive: true });
      }
    },
  });
}
