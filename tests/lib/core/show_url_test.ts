import assert from "node:assert/strict";
import { showUrl } from "../../../lib/core/show_url.ts";

const shown = (text: string) => showUrl(new URL(text));

Deno.test("showUrl() shows host, port and path", () => {
  const same = [
    "mongodb://db.example:27018/parley?replicaSet=rs0&authSource=admin",
    "mongodb+srv://db.example/parley",
    "postgres://[::1]:5432/parley?schema=a&sslmode=verify-full",
    "neo4j+s://graph:7687/neo4j?namespace=b",
    "https://host/v1/embeddings?model=a%2Fb&api-version=7",
    "https://host/ai/@cf/model/embeddings?model=m",
    "tei+http://host:8080",
    "sqlite:/home/some body/x.db",
    "onnx:somebody/model?revision=v1",
    "memory:64mb",
    "test:64",
  ];
  for (const url of same) assert.equal(shown(url), url);
  assert.equal(shown("sqlite:/a%20b/100%25.db"), "sqlite:/a b/100%.db");
});

Deno.test("showUrl() omits logins, and all parameters that are not known to be harmless", () => {
  const urls = {
    "redis://:s3cret@host:6379/1?namespace=n": "redis://host:6379/1?namespace=n",
    "redis://host/0#s3cret": "redis://host/0",
    "https://s3cret@in03.zillizcloud.com": "https://in03.zillizcloud.com/",
    "https://host/v1?api_key=s3cret&model=m&token=s3cret": "https://host/v1?model=m&…",
    "https://host/v1?s3cret": "https://host/v1?…",
    "https://host/v1?MODEL=s3cret": "https://host/v1?…",
    "mongodb://h/d?authMechanismProperties=s3cret&tls=true&sslpassword=s3cret": "mongodb://h/d?tls=true&…",
    "sqlite:/x.db?key=s3cret": "sqlite:/x.db?…",
    "redis:user:s3cret@host:6379": "redis:…",
    "postgres:/user:s3cret@host/db": "postgres:…",
    "postgres://user/s3cret@host/db": "postgres:…",
    "postgres://us/s3cret%40host/db": "postgres:…",
    "data:s3cret": "data:…",
  };
  for (const [url, expected] of Object.entries(urls)) assert.equal(shown(url), expected);
});

Deno.test("showUrl() shows a secret in no part but host, path and harmless parameters", () => {
  const marks = ["s3cret", "s%33cret", encodeURIComponent("s3cret@/?#:&=")];
  const schemes = [
    "mongodb",
    "milvus",
    "https",
    "neo4j+s",
    "postgres",
    "redis",
    "tei+http",
    "sqlite",
    "onnx",
  ];
  const parts = [
    "U@host",
    "u:U@host",
    ":U@host",
    "host?U",
    "host?U=1",
    "host?x=U",
    "host/p?model=m&x=U#U",
    "host#U",
  ];
  for (const scheme of schemes) {
    for (const part of parts) {
      for (const mark of marks) {
        const text = showUrl(new URL(`${scheme}://${part.replaceAll("U", mark)}`));
        for (const word of ["s3cret", "s%33cret"]) {
          assert.ok(!text.includes(word), `${scheme}://${part}: ${text}`);
        }
      }
    }
  }
});
