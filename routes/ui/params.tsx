import { z } from "../../deps.ts";
import { ParleyError } from "../../lib/core/errors.ts";
import type { Json, JsonObject } from "../../lib/core/types.ts";
import type { Dag } from "../../lib/dag/define.ts";
import { Field } from "./form.tsx";

/** The part of JSON Schema that decides how a param is asked for. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly default?: Json;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A dag's params by name, as their zod schema tells them. */
function schemasOf({ params }: Dag<never>): [string, Schema][] {
  if (params === undefined) return [];
  const { properties = {} } = z.toJSONSchema(params, { io: "input", unrepresentable: "any" });
  return Object.entries(properties as Record<string, Schema>);
}

/** How a param is asked for, and how its text becomes a value again. */
function kindOf(
  { type, enum: choices, items }: Schema,
): "choice" | "flag" | "number" | "text" | "lines" | "json" {
  if (choices !== undefined) return "choice";
  if (type === "boolean") return "flag";
  if (type === "number" || type === "integer") return "number";
  if (type === "string") return "text";
  return type === "array" && items?.type === "string" ? "lines" : "json";
}

const HINTS = { choice: "", flag: "", number: "", text: "", lines: "one a line", json: "as JSON" } as const;

/** A field for each param of a dag, filled with its default. `of` names the form, as ids are of a page and not of a form. */
export function ParamFields({ dag, of }: { dag: Dag<never>; of: string }) {
  const schemas = schemasOf(dag);
  if (schemas.length === 0) return <p class="empty">It takes no params.</p>;
  return (
    <>
      {schemas.map(([name, schema]) => {
        const hint = [schema.description, HINTS[kindOf(schema)]].filter(Boolean).join("; ");
        const id = `${of}-${name}`;
        return (
          <Field id={id} label={name} {...hint === "" ? {} : { hint }}>
            <Input
              id={id}
              name={`param-${name}`}
              schema={schema}
              described={hint === "" ? {} : { "aria-describedby": `${id}-hint` }}
            />
          </Field>
        );
      })}
    </>
  );
}

function Input(
  { schema, described, ...named }: {
    id: string;
    name: string;
    schema: Schema;
    described: Record<string, string>;
  },
) {
  const given = schema.default;
  const common = { ...named, ...described };
  switch (kindOf(schema)) {
    case "flag":
      return <input type="checkbox" value="true" checked={given === true} {...common} />;
    case "choice":
      return (
        <select {...common}>
          {schema.enum?.map((each) => <option selected={each === given}>{each}</option>)}
        </select>
      );
    case "number": {
      const { minimum, maximum, type } = schema;
      const bounds = {
        ...minimum === undefined ? {} : { min: minimum },
        ...maximum === undefined ? {} : { max: maximum },
      };
      const step = type === "integer" ? "1" : "any";
      return <input type="number" step={step} value={String(given ?? "")} {...bounds} {...common} />;
    }
    case "text":
      return <input type="text" value={String(given ?? "")} {...common} />;
    case "lines":
      return (
        <textarea rows={2} spellcheck={false} {...common}>{((given ?? []) as string[]).join("\n")}</textarea>
      );
    case "json":
      return (
        <textarea rows={2} spellcheck={false} {...common}>
          {given === undefined ? "" : JSON.stringify(given, null, 2)}
        </textarea>
      );
  }
}

/** What a posted form says of a dag's params. A field that was left empty is not given, so that its default holds. */
export function paramsOf(dag: Dag<never>, form: ReadonlyMap<string, readonly string[]>): JsonObject {
  const given: Record<string, Json> = {};
  for (const [name, schema] of schemasOf(dag)) {
    const value = valueOf(name, kindOf(schema), form.get(`param-${name}`)?.[0]);
    if (value !== undefined) given[name] = value;
  }
  return given;
}

function valueOf(name: string, kind: ReturnType<typeof kindOf>, text: string | undefined): Json | undefined {
  if (kind === "flag") return text === "true";
  if (text === undefined) return undefined;
  if (kind === "lines") return text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  if (text.trim() === "") return undefined;
  if (kind === "number") return Number(text);
  if (kind !== "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new ParleyError("invalid", `the param ${name} is not JSON`);
  }
}
