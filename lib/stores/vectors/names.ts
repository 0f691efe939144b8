import { hash } from "../../../deps.ts";
import { type ModelIdentity, modelKey } from "../../core/types.ts";

/** 12 hex digits that identify a model in the names of files and collections. */
export function modelTag(model: ModelIdentity): string {
  return hash("sha256", modelKey(model), "hex").slice(0, 12);
}

/** A file name for a model with its readable name; safe on every file system for any name. */
export function modelFile(model: ModelIdentity): string {
  const readable = model.name.replace(/[^A-Za-z0-9._-]+/g, "_").replace(/^[._-]+/, "").slice(-48);
  return `${readable}-${modelTag(model)}`;
}

/** Whether a name is that of a model's database, of its log, or of the folder of its indexes. */
export function isModelFile(name: string): boolean {
  return /-[0-9a-f]{12}(\.db(-wal|-shm)?)?$/.test(name);
}
