import { z } from "../../../deps.ts";
import { ParleyError, reasonOf } from "../../../lib/core/errors.ts";
import type { Json, JsonObject } from "../../../lib/core/types.ts";
import type { Dag } from "../../../lib/dag/define.ts";
import { Field } from "../../components/form.tsx";

/** The part of JSON Schema that decides how a param is entered. */
interface Schema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly default?: Json;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/** A dag's params by name, each with its schema. */
function schemasOf({ params }: Dag<never>): [string, Schema][] {
  if (params === undefined) return [];
  const { properties = {} } = z.toJSONSchema(params, { io: "input", unrepresentable: "any" });
  return Object.entries(properties as Record<string, Schema>);
}

/** How a param is entered, and how its text becomes a value again. */
function kindOf(
  { type, enum: choices, items }: Schema,
): "choice" | "flag" | "number" | "text" | "lines" | "json" {
  if (choices !== undefined) return "choice";
  if (type === "boolean") return "flag";
  if (type === "number" || type === "integer") return "number";
  if (type === "string") return "text";
  return type === "array" && items?.type === "string" ? "lines" : "json";
}

const HINTS = { choice: "", flag: "", number: "", text: "", lines: "one per line", json: "as JSON" } as const;

/** A param in a form. `values` are those that it may have: `any` that its schema allows, or `none` over HTTP. */
export interface ParamField {
  readonly name: string;
  readonly schema: Schema;
  readonly values: "any" | "none" | readonly string[];
  /** The settings that the values come from. */
  readonly settings: string;
}

/** The params of a dag with the values that they may have now. If the values cannot be read: none, and why. */
export function paramFields(dag: Dag<never>): Promise<ParamField[]> {
  return Promise.all(
    schemasOf(dag).map(async ([name, schema]) => {
      const remote = dag.remote?.[name] ?? "none";
      if (typeof remote === "string") return { name, schema, values: remote, settings: "" };
      const { settings } = remote;
      try {
        return { name, schema, values: await remote.values(), settings };
      } catch (error) {
        return { name, schema, values: [], settings: `${settings} (${reasonOf(error)})` };
      }
    }),
  );
}

/** The fields of a dag's params, filled with their defaults. `of` names the form, since ids must be unique in a page. */
export function ParamFields({ fields, of }: { fields: readonly ParamField[]; of: string }) {
  if (fields.length === 0) return <p class="empty">It has no params.</p>;
  return <>{fields.map((field) => <ParamInput field={field} id={`${of}-${field.name}`} />)}</>;
}

function ParamInput({ field: { name, schema, values, settings }, id }: { field: ParamField; id: string }) {
  if (values === "none") {
    return (
      <p class="hint">
        <code>{name}</code> can be given on the command line only.
      </p>
    );
  }
  const kind = kindOf(schema);
  const isAny = values === "any";
  const from = isAny ? HINTS[kind] : `from ${settings}${values.length === 0 ? ", which name none" : ""}`;
  const hint = [schema.description, from].filter(Boolean).join("; ");
  const described = hint === "" ? {} : { "aria-describedby": `${id}-hint` };
  const named = { id, name: `param-${name}` };
  if (!isAny && kind === "lines") {
    return (
      <fieldset class="field" id={id} {...described}>
        <legend>{name}</legend>
        <input type="hidden" name={named.name} value="" />
        {values.map((value) => (
          <label class="choice">
            <input
              type="checkbox"
              name={named.name}
              value={value}
              checked={(schema.default as string[] | undefined)?.includes(value) ?? false}
            />
            {value}
          </label>
        ))}
        <p class="hint" id={`${id}-hint`}>{hint}</p>
      </fieldset>
    );
  }
  const limited = isAny ? schema : { ...schema, enum: values };
  return (
    <Field id={id} label={name} {...hint === "" ? {} : { hint }}>
      <Input {...named} schema={limited} described={described} />
    </Field>
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
  const value = schema.default;
  const common = { ...named, ...described };
  switch (kindOf(schema)) {
    case "flag":
      return (
        <>
          <input type="hidden" name={named.name} value="" />
          <input type="checkbox" value="true" checked={value === true} {...common} />
        </>
      );
    case "choice":
      return (
        <select {...common}>
          {schema.enum?.map((each) => <option selected={each === value}>{each}</option>)}
        </select>
      );
    case "number": {
      const { minimum, maximum, type } = schema;
      const bounds = {
        ...minimum === undefined ? {} : { min: minimum },
        ...maximum === undefined ? {} : { max: maximum },
      };
      const step = type === "integer" ? "1" : "any";
      return <input type="number" step={step} value={String(value ?? "")} {...bounds} {...common} />;
    }
    case "text":
      return <input type="text" value={String(value ?? "")} {...common} />;
    case "lines":
      return (
        <textarea rows={2} spellcheck={false} {...common}>{((value ?? []) as string[]).join("\n")}</textarea>
      );
    case "json":
      return (
        <textarea rows={2} spellcheck={false} {...common}>
          {value === undefined ? "" : JSON.stringify(value, null, 2)}
        </textarea>
      );
  }
}

/** A dag's params from a posted form. A field that is empty or missing keeps its default. */
export function paramsOf(dag: Dag<never>, form: ReadonlyMap<string, readonly string[]>): JsonObject {
  const params: Record<string, Json> = {};
  for (const [name, schema] of schemasOf(dag)) {
    const value = valueOf(name, kindOf(schema), form.get(`param-${name}`));
    if (value !== undefined) params[name] = value;
  }
  return params;
}

function valueOf(
  name: string,
  kind: ReturnType<typeof kindOf>,
  sent: readonly string[] | undefined,
): Json | undefined {
  if (sent === undefined) return undefined;
  if (kind === "flag") return sent.includes("true");
  if (kind === "lines") {
    return sent.flatMap((text) => text.split(/\r?\n/)).map((line) => line.trim()).filter((line) =>
      line !== ""
    );
  }
  const text = sent[0] ?? "";
  if (text.trim() === "") return undefined;
  if (kind === "number") return Number(text);
  if (kind !== "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new ParleyError("invalid", `the param ${name} is not JSON`);
  }
}
