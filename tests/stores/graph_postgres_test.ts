import { PostgresGraph } from "../../lib/stores/graph/postgres/postgres_graph.ts";
import { graphContract } from "../contracts/graph.ts";
import { handles } from "../fixtures/handles.ts";
import { dropSchema, freshSchema, NEEDS_POSTGRES, POSTGRES } from "../fixtures/postgres.ts";
import { proxied } from "../fixtures/tcp_proxy.ts";

if (POSTGRES === undefined) Deno.test.ignore(`PostgresGraph: ${NEEDS_POSTGRES}`, () => {});
else suite(POSTGRES);

function suite(server: string): void {
  graphContract(
    "PostgresGraph",
    () => {
      const url = freshSchema(server);
      return handles(() => new PostgresGraph({ url }), () => dropSchema(url));
    },
    () => {
      const direct = freshSchema(server);
      const { url, proxy } = proxied(direct, 5_432);
      const store = new PostgresGraph({ url });
      return Promise.resolve({
        store,
        hang: proxy.hang,
        close: async () => {
          await store.close();
          await proxy.close();
          await dropSchema(direct);
        },
      });
    },
  );
}
