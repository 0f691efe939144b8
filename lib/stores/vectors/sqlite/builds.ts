import { basename } from "../../../../deps.ts";
import { messageOf } from "../../../core/errors.ts";
import type { Sqlite } from "../../engines/sqlite/sqlite.ts";
import { FORMAT, type IndexKind } from "./ann.ts";
import { Groups } from "./groups.ts";
import { DamagedIndex, type IndexFile } from "./index_file.ts";
import type { Indexed } from "../port.ts";

/** A row of the table `indexes`, without its groups. */
export interface Build {
  readonly build: number;
  readonly collection: Indexed;
  readonly version: number;
  /** `empty` is one of no rows, which has no file. */
  readonly kind: IndexKind | "empty";
  readonly format: number;
  /** The file's name; each build has a file of its own. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}
export const COLUMNS = "build, collection, version, kind, format, file, bytes, sha256";

/** The table of builds, whose files are in one folder. */
export class Builds {
  constructor(readonly sql: Sqlite, readonly folder: string) {}

  of(collection: Indexed, version: number): Build | null {
    return this.sql.get<Build>(
      `SELECT ${COLUMNS} FROM indexes WHERE collection = ? AND version = ?`,
      collection,
      version,
    );
  }

  /** Throws {@link DamagedIndex} for one of another format, which is rebuilt like a damaged one. */
  file(build: Build): IndexFile {
    if (build.format !== FORMAT) throw new DamagedIndex("it was built by another version of Parley");
    return { path: this.path(build), bytes: build.bytes, sha256: build.sha256 };
  }

  /** The path of a build's file: in this folder, even if the row is damaged. */
  path({ file }: Pick<Build, "file">): string {
    return `${this.folder}/${basename(file)}`;
  }

  /** Throws {@link DamagedIndex} if they are damaged. */
  groups({ build }: Build): Groups {
    const row = this.sql.get<{ groups: Uint8Array }>("SELECT groups FROM indexes WHERE build = ?", build);
    if (row === null) throw new DamagedIndex("it was replaced meanwhile");
    return Groups.parse(row.groups);
  }
}

/** Why a build cannot be used, as a clause. */
export function faultOfIndex({ collection, version }: Build, error: unknown): string {
  const how = error instanceof DamagedIndex ? "is damaged" : "cannot be opened";
  return `the index ${collection}-${version} ${how}: ${messageOf(error)}`;
}
