import { loadTransformers } from "../../../deps.ts";
import { type ErrorCode, ParleyError } from "../../core/errors.ts";
import { FILE_MODE, FOLDER_MODE } from "../../core/file_modes.ts";
import { authorization } from "../../core/origin_key.ts";
import { poolingFolder } from "./model_config.ts";
import { candidates, type Dtype, externalOf, isFile } from "./weights.ts";

/** Where models are fetched from, and where to. */
export interface Hub {
  /** Folder of fetched models. */
  readonly cache: string;
  /** URL of the hub; null for the library's own. */
  readonly endpoint: string | null;
  /** Secret, for models that are not open to all; sent to the hub itself and never where it redirects to. */
  readonly token: string | null;
}

/** What `onnx:owner/name` asks for. `revision` is a branch, tag or commit. */
interface HubModel {
  readonly id: string;
  readonly revision: string;
  readonly dtype: Dtype | null;
}

/** Whether a name looks like the id of a model on a hub. */
export const isHubId = (name: string) => /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(name);

const REQUIRED_FILES = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "sentence_bert_config.json",
];
const OPTIONAL_FILES = ["special_tokens_map.json", "config_sentence_transformers.json"];
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 5;
/** The commit that a revision was when it was first asked for: all files come from that, and stay so. */
const COMMIT = "commit.txt";

/**
 * Fetches a model into the cache and returns its folder; without any request where its weights are there, which come last.
 * Files appear whole or not at all, so an interrupted fetch continues with the file where it stopped. Throws `not_found`,
 * `denied` or `unavailable`.
 */
export async function fetchModel(hub: Hub, model: HubModel, signal?: AbortSignal): Promise<string> {
  const [owner, name] = model.id.split("/");
  const folder = `${hub.cache}/${owner}/${model.revision.replace(/[^\w.-]/g, "_")}/${name}`;
  const weightFiles = candidates(model.dtype);
  for (const { file } of weightFiles) if (await isFile(`${folder}/${file}`)) return folder;
  const endpoint = hub.endpoint ?? (await loadTransformers()).env.remoteHost;
  const download = new ModelDownload(
    { ...hub, endpoint: endpoint.replace(/\/$/, "") },
    model,
    folder,
    signal,
  );
  await download.require("modules.json");
  for (const file of [...REQUIRED_FILES, `${await poolingFolder(folder)}/config.json`]) {
    await download.require(file);
  }
  for (const file of OPTIONAL_FILES) await download.get(file);
  for (const { file } of weightFiles) {
    if (await download.weights(file)) return folder;
  }
  throw download.error("not_found", `has none of ${weightFiles.map(({ file }) => file).join(", ")}`);
}

class ModelDownload {
  constructor(
    private readonly hub: Hub & { readonly endpoint: string },
    private readonly model: HubModel,
    private readonly folder: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async require(file: string): Promise<void> {
    if (!await this.get(file)) throw this.error("not_found", `has no ${file}`);
  }

  /** Parts that are files of their own come first: a model whose ONNX file is there is complete. */
  async weights(file: string): Promise<boolean> {
    const response = await this.request(file, "HEAD");
    await response?.body?.cancel();
    if (response === null) return false;
    await this.get(externalOf(file));
    return await this.get(file);
  }

  /** Fetches a file unless it exists; false if the hub does not have it. */
  async get(file: string): Promise<boolean> {
    if (await isFile(`${this.folder}/${file}`)) return true;
    const response = await this.request(file, "GET");
    if (response === null) return false;
    await this.save(file, response.body ?? new Blob().stream());
    const commit = response.headers.get("x-repo-commit");
    if (commit !== null && await this.commit() === null) await this.save(COMMIT, new Blob([commit]).stream());
    return true;
  }

  private commit(): Promise<string | null> {
    return Deno.readTextFile(`${this.folder}/${COMMIT}`).catch(() => null);
  }

  /** A file of the model as the hub has it, or null. */
  private async request(file: string, method: "GET" | "HEAD"): Promise<Response | null> {
    const { id, revision } = this.model;
    const url = `${this.hub.endpoint}/${id}/resolve/${
      encodeURIComponent(await this.commit() ?? revision)
    }/${file}`;
    const response = await this.follow(new URL(url), method).catch((cause) => {
      throw this.fetchError(cause);
    });
    if (response.ok) return response;
    await response.body?.cancel();
    const { status } = response;
    if (status === 404) return null;
    throw status === 401 || status === 403
      ? this.error(
        "denied",
        `is not there, or not open to all (HTTP ${status}): look at its name, or set HF_TOKEN`,
      )
      : this.error("unavailable", `could not be fetched (HTTP ${status}): try again later`);
  }

  /**
   * Asks, and goes where a hub sends on to, such as the network that holds its large files. `fetch` itself would take the
   * token along to any sub-domain.
   */
  private async follow(first: URL, method: "GET" | "HEAD"): Promise<Response> {
    const { token } = this.hub;
    const key = token === null ? null : { secret: token, origin: first.origin };
    for (let url = first, hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const headers = authorization(key, url);
      const response = await fetch(url, { method, headers, redirect: "manual", signal: this.signal ?? null });
      const location = REDIRECTS.includes(response.status) ? response.headers.get("location") : null;
      if (location === null) return response;
      await response.body?.cancel();
      url = new URL(location, url);
      if (url.protocol !== "https:" && url.protocol !== first.protocol) {
        throw this.error("denied", "sends on to an address that is not https");
      }
    }
    throw this.error("unavailable", `sends on more than ${MAX_REDIRECTS} times`);
  }

  private async save(file: string, content: ReadableStream<Uint8Array>): Promise<void> {
    const path = `${this.folder}/${file}`;
    const partialPath = `${path}.${crypto.randomUUID().slice(0, 8)}.part`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: FOLDER_MODE });
    try {
      await Deno.writeFile(partialPath, content, {
        mode: FILE_MODE,
        ...this.signal ? { signal: this.signal } : {},
      });
      await Deno.rename(partialPath, path);
    } catch (cause) {
      await Deno.remove(partialPath).catch(() => {});
      throw this.fetchError(cause);
    }
  }

  private fetchError(cause: unknown): unknown {
    this.signal?.throwIfAborted();
    if (cause instanceof ParleyError) return cause;
    if (cause instanceof Deno.errors.NotCapable) {
      return this.error("denied", `needs permission: ${cause.message}`);
    }
    return this.error(
      "unavailable",
      "could not be fetched: look at the network, or put its folder on this machine",
    );
  }

  error(code: ErrorCode, problem: string): ParleyError {
    const host = URL.parse(this.hub.endpoint)?.host ?? this.hub.endpoint;
    return new ParleyError(code, `the model ${this.model.id} at ${host} ${problem}`);
  }
}
