/** The API for `deno serve` and Deno Deploy; docs/operating.md says what works there. */
import { edgeApi } from "./commands/edge.ts";
import { readEnvironment } from "./lib/environment.ts";

export default await edgeApi(readEnvironment());
