/**
 * The only import of outside packages. Small libraries are re-exported by name; heavy SDKs are loaders, so a process
 * that does not use one never evaluates it. Versions are in deno.json and deno.lock alone.
 */
export type { Attributes, Span, Tracer } from "@opentelemetry/api";
export type { HistogramMetricData, MetricData, SumMetricData } from "@opentelemetry/sdk-metrics";
export {
  bulkhead,
  BulkheadPolicy,
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  handleAll,
  handleWhen,
  isBrokenCircuitError,
  isBulkheadRejectedError,
  timeout,
  TimeoutStrategy,
} from "cockatiel";
export { Argument, Command, CommanderError, InvalidArgumentError, Option } from "commander";
export { Cron } from "croner";
export { closest, distance } from "fastest-levenshtein";
export type { Context, Hono } from "hono";
export type { Child } from "hono/jsx";
export type { Redis } from "ioredis";
export {
  type ASTNode as CelNode,
  Environment as CelEnvironment,
  EvaluationError as CelEvaluationError,
  ParseError as CelParseError,
} from "@marcbachmann/cel-js";
export { serialize as serializeCel } from "@marcbachmann/cel-js/serialize";
export { LRUCache } from "lru-cache";
export type {
  AnyBulkWriteOperation,
  Collection,
  Db,
  Filter,
  MongoBulkWriteError,
  MongoClient,
} from "mongodb";
export type { BookmarkManager, Driver, ManagedTransaction } from "neo4j-driver";
export { Buffer } from "node:buffer";
export { createCipheriv, createDecipheriv, createHash, createHmac, hash, timingSafeEqual } from "node:crypto";
export { statfsSync } from "node:fs";
export { createRequire } from "node:module";
export { Socket } from "node:net";
export * as os from "node:os";
export { basename, dirname, join, relative } from "node:path";
export {
  backup,
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
export { pipeline, Readable } from "node:stream";
export { parseEnv, styleText } from "node:util";
export { constants as zlibConstants, createGunzip, zstdCompressSync, zstdDecompressSync } from "node:zlib";
export { z } from "zod";

/** Loaded for the first request of the API's document. */
export const loadZodOpenApi = () => import("zod-openapi");
export type {
  ZodOpenApiOperationObject as ZodOpenApiOperation,
  ZodOpenApiResponseObject as ZodOpenApiResponse,
} from "zod-openapi";

/** Loaded for the first notification. */
export const loadWebhooks = () => import("standardwebhooks");
export const loadMailer = () => import("nodemailer");
export const loadCors = () => import("hono/cors");
export const loadHono = () => import("hono");
export const loadCookies = () => import("hono/cookie");
/** The serialiser of metrics; loaded at the first scrape. */
export const loadPrometheus = async () => {
  const [{ PrometheusSerializer }, { AggregationTemporality, DataPointType }] = await Promise.all([
    import("@opentelemetry/exporter-prometheus"),
    import("@opentelemetry/sdk-metrics"),
  ]);
  return { PrometheusSerializer, AggregationTemporality, DataPointType };
};

/** Quotes, line ends and streams as spreadsheets write them; read with the first CSV source. It has no dependencies. */
export const loadCsv = () => import("csv-parse");

/** Loaded for the first request, if requests are limited. */
export const loadRateLimiter = () => import("rate-limiter-flexible");
export type { RateLimiterAbstract } from "rate-limiter-flexible";

/** By a name that Deno cannot read ahead, so it downloads nothing that is not needed. */
const later = (name: string) => import(name);
export const loadTransformers = (): Promise<typeof import("@huggingface/transformers")> =>
  later("@huggingface/transformers");
/** Loaded for the first request of an MCP client. */
export const loadMcp = (): Promise<typeof import("@modelcontextprotocol/server")> =>
  later("@modelcontextprotocol/server");
export const loadOpenTelemetry = (): Promise<typeof import("@opentelemetry/api")> =>
  later("@opentelemetry/api");
export const loadMongo = (): Promise<typeof import("mongodb")> => later("mongodb");
export type { S3Client } from "@bradenmacdonald/s3-lite-client";
export const loadS3 = (): Promise<typeof import("@bradenmacdonald/s3-lite-client")> =>
  later("@bradenmacdonald/s3-lite-client");
export const loadRedis = (): Promise<typeof import("ioredis")> => later("ioredis");
export const loadMilvus = (): Promise<typeof import("@zilliz/milvus2-sdk-node")> =>
  later("@zilliz/milvus2-sdk-node");
export const loadNeo4j = (): Promise<typeof import("neo4j-driver")> => later("neo4j-driver");
// @ts-types="@types/pg"
import type * as Pg from "pg";
export type {
  ClientBase as PgClientBase,
  Pool as PgPool,
  PoolClient as PgClient,
  QueryConfig as PgQuery,
  QueryResult as PgResult,
} from "pg";
export const loadPg = (): Promise<typeof Pg> => later("pg");

// @ts-types="@types/d3-scale"
import type * as D3Scale from "d3-scale";
// @ts-types="@types/d3-shape"
import type * as D3Shape from "d3-shape";
export const loadScales = (): Promise<typeof D3Scale> => later("d3-scale");
export const loadShapes = (): Promise<typeof D3Shape> => later("d3-shape");
export const loadDagre = (): Promise<typeof import("@dagrejs/dagre")> => later("@dagrejs/dagre");

/** The folder of the files that draw the API's reference; the version is that in deno.json. */
export const loadSwaggerUi = () => import("swagger-ui-dist/absolute-path.js");
export const SWAGGER_UI_VERSION = "5.35.0";
