import assert from "node:assert/strict";
import { ParleyError } from "../../lib/core/errors.ts";
import { loadConfig } from "../../lib/config.ts";
import { readEnvironment } from "../../lib/environment.ts";

/** What is read of a file with these bytes. */
function read(content: string | Uint8Array<ArrayBuffer>, process: Record<string, string> = {}) {
  const file = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return readEnvironment({ file, process });
  } finally {
    Deno.removeSync(file);
  }
}

Deno.test("readEnvironment() prefers the process environment to the file", () => {
  const env = read("PARLEY_PORT=1\nPARLEY_LOG=off\n", { PARLEY_PORT: "2", OTHER: "x" });
  assert.deepEqual(env, { PARLEY_PORT: "2", PARLEY_LOG: "off", OTHER: "x" });
});

Deno.test("readEnvironment() does without a file, and with a folder of that name", () => {
  const process = { PARLEY_PORT: "2" };
  for (const file of ["/nonexistent/.env", Deno.cwd()]) {
    assert.deepEqual(readEnvironment({ file, process }), process);
  }
});

Deno.test("readEnvironment() reads a file with a byte order mark, in UTF-8 and UTF-16", () => {
  const text = "\ufeffPARLEY_SCHEDULE=off\r\nPARLEY_DATA=./é\r\n";
  const utf16 = (littleEndian: boolean) => {
    const view = new DataView(new ArrayBuffer(2 * text.length));
    for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), littleEndian);
    return new Uint8Array(view.buffer);
  };
  for (const content of [text, utf16(true), utf16(false)]) {
    assert.deepEqual(read(content), { PARLEY_SCHEDULE: "off", PARLEY_DATA: "./é" });
  }
});

Deno.test("readEnvironment() keeps a # inside a value, and leaves out a comment after a blank", () => {
  const lines: [string, string][] = [
    ["a#b", "a#b"],
    ["ends#", "ends#"],
    ["a#b # about it", "a#b"],
    ["a #b", "a"],
    ["#all of it", ""],
    ['"a # b"', "a # b"],
    ["'a#b' # about it", "a#b"],
    ["it's#one", "it's#one"],
    ['say"what#', 'say"what#'],
    ["one,two", "one,two"],
    ["/data/C# files/x", "/data/C# files/x"],
    ["/my data/C#/x  # about it", "/my data/C#/x"],
    ["C:\\new#x", "C:\\new#x"],
    ["x#y\r", "x#y"],
  ];
  for (const [written, value] of lines) {
    assert.deepEqual(read(`BEFORE=1\nPARLEY_DATA=${written}\nAFTER=2\n`), {
      BEFORE: "1",
      PARLEY_DATA: value,
      AFTER: "2",
    }, written);
  }
  assert.equal(read("export  A = x#y\n").A, "x#y");
});

Deno.test("readEnvironment() refuses a file with lines that set nothing, and names them without their text", () => {
  const message = (content: string | Uint8Array<ArrayBuffer>) => {
    try {
      read(content);
      return null;
    } catch (error) {
      assert.ok(error instanceof ParleyError && error.code === "invalid");
      return error.message.replace(/^.*cannot be read: /, "");
    }
  };
  assert.equal(
    message("A=1\n# about it\r\n\r\nPARLEY_SCHEDULE: off\nB='two\nlines'\n\n  PARLEY_TIMEZONE\n"),
    "line 4 is not NAME=value; line 8 is not NAME=value",
  );
  assert.equal(message("secret"), "line 1 is not NAME=value");
  assert.equal(message('\ufeffexport A = 1 # one\n\tB=\nC="x" # x\n  # y\nD=it\'s\nE=`\n`\n\n#'), null);
  assert.equal(message(""), null);
  const latin1 = Uint8Array.from("# für\nPARLEY_DATA=./für\n", (letter) => letter.charCodeAt(0));
  assert.equal(message(latin1), "the value of PARLEY_DATA is not UTF-8: save the file as UTF-8");
});

Deno.test("readEnvironment() ignores variables that Kubernetes sets for Services named parley and parley-…", () => {
  const links = Object.fromEntries(
    [["PARLEY", 8000], ["PARLEY_DOCUMENTS_DB", 27017]].flatMap(([service, port]) => [
      [`${service}_SERVICE_HOST`, "10.0.0.7"],
      [`${service}_SERVICE_PORT`, `${port}`],
      [`${service}_SERVICE_PORT_HTTP`, `${port}`],
      [`${service}_PORT`, `tcp://10.0.0.7:${port}`],
      [`${service}_PORT_${port}_TCP`, `tcp://10.0.0.7:${port}`],
      [`${service}_PORT_${port}_TCP_PROTO`, "tcp"],
      [`${service}_PORT_${port}_TCP_PORT`, `${port}`],
      [`${service}_PORT_${port}_TCP_ADDR`, "10.0.0.7"],
    ]),
  );
  assert.deepEqual(read("PARLEY_PORT=9000", { ...links, PARLEY_LOG: "off" }), {
    PARLEY_PORT: "9000",
    PARLEY_LOG: "off",
  });
  assert.equal(loadConfig(read("", links)).port, 8000);
  assert.equal(loadConfig(read("", { ...links, PARLEY_PORT: "9000" })).port, 9000);
  assert.throws(() => loadConfig(read("", { PARLEY_PORT: "tcp://10.0.0.7:8000" })), /PARLEY_PORT/);
});

Deno.test("readEnvironment() takes the value of a setting from a file that PARLEY_…_FILE names", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "read:0123456789abcdef\n");
    const read = (process: Record<string, string>) => readEnvironment({ file: "/nowhere/.env", process });
    const set = { PARLEY_API_KEYS_FILE: path, PARLEY_API_KEYS: "", OTHER_FILE: "x" };
    assert.deepEqual(read(set), { PARLEY_API_KEYS: "read:0123456789abcdef", OTHER_FILE: "x" });
    assert.deepEqual(read({ PARLEY_API_KEYS_FILE: "" }), {});
    assert.throws(
      () => read({ ...set, PARLEY_API_KEYS: "x" }),
      /PARLEY_API_KEYS and PARLEY_API_KEYS_FILE are both set/,
    );
    assert.throws(
      () => read({ PARLEY_SECRET_FILE: "/nowhere/secret" }),
      /the file of PARLEY_SECRET_FILE cannot be read/,
    );
  } finally {
    await Deno.remove(path);
  }
});
