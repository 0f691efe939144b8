/** Of what a table is made, as an engine says it. */
export interface SchemaDialect {
  readonly engine: "sqlite" | "postgres";
  /** Ordered by code point. */
  readonly text: string;
  /** Of 64 bits. */
  readonly integer: string;
  /** A number from a clock or a task, which need not be whole. */
  readonly number: string;
  readonly real: string;
  readonly bytes: string;
  /** The type of an integer that is the primary key, and is generated if none is given. */
  readonly id: string;
  /** Ends the columns of a table that is read by `Dialect.insertionOrder`. */
  readonly insertionOrder: string;
  /** Ends a table whose columns keep their types. */
  readonly strict: string;
  /** Ends a table that is stored in the order of its primary key. */
  readonly keyed: string;
  /** As {@link SchemaDialect.keyed}, with {@link SchemaDialect.strict}. */
  readonly strictKeyed: string;
}

/**
 * One step of a store's schema, from its index in the list to its index + 1. A step that a released Parley has is never
 * changed. It is a text if the engines say it the same, or only one has the store.
 */
export type Migration = string | ((dialect: SchemaDialect) => string);

export function migrationSql(migration: Migration, dialect: SchemaDialect): string {
  return typeof migration === "string" ? migration : migration(dialect);
}
