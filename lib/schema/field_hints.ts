import type { Kind } from "../core/types.ts";
import { isObject } from "./metadata.ts";

type Fields = Readonly<Record<string, unknown>>;

/**
 * What chat tools, shops and analytics call a field, likeliest first; a dot leads into an object. Neither case nor what joins words
 * matters.
 */
const TIME = [
  "ts",
  "date_unixtime",
  "time",
  "date",
  "datetime",
  "created_at",
  "createdDateTime",
  "sent_at",
  "occurred_at",
];
const USER = [
  "user",
  "from_id",
  "sender_id",
  "author_id",
  "customer_id",
  "visitor_id",
];
const PERSON = [
  "author.id",
  "user.id",
  "sender.id",
  "from.id",
  "from.user.id",
  "customer.id",
  "source.author.id",
  "profile.id",
];
const CAMPAIGN = [
  "campaign",
  "item_id",
  "product_id",
  "offer_id",
  "sku",
];
const OTHER_NAMES: Readonly<Record<Kind, Readonly<Record<string, readonly string[]>>>> = {
  messages: {
    user_id: [...USER, ...PERSON, "sender", "from"],
    message: ["text", "content", "body", "body.content", "msg", "message_text", "utterance", "source.body"],
    timestamp: TIME,
  },
  campaigns: {
    campaign_id: [...CAMPAIGN, "id", "slug"],
    title: ["name", "headline", "label", "campaign_name", "campaign_title"],
  },
  events: {
    user_id: [...USER, ...PERSON],
    campaign_id: CAMPAIGN,
    type: ["event_type", "event", "action", "event_name", "interaction"],
    timestamp: ["event_time", ...TIME],
  },
};

/** Only what looks like a name is shown: a key may be text of a user. */
const NAME = /^[A-Za-z_][\w-]{0,39}$/;
const MAX_NAMES = 12;
const MAX_NAME_CHARACTERS = 40;

/**
 * The fields that a row has, and which of them may be meant for those that are missing. Names only, never values. Null if none
 * is missing.
 */
export function missingFieldsHint(kind: Kind, row: Fields): string | null {
  const missing = Object.keys(OTHER_NAMES[kind]).filter((field) => row[field] === undefined);
  if (missing.length === 0) return null;
  const suggestions = missing.flatMap((field) => {
    const matches = [field, ...OTHER_NAMES[kind][field]!].flatMap((name) => findName(row, name) ?? []);
    return matches[0] === undefined ? [] : [`${matches[0]} as ${field}`];
  });
  return [`the row has ${namesOf(row)}`, ...suggestions.length > 0 ? [`give ${suggestions.join(", ")}`] : []]
    .join("; ");
}

/** The path of a field in a row, whatever its case and separators; null if no such field holds a text or a number. */
function findName(row: Fields, name: string): string | null {
  let value: unknown = row;
  const path: string[] = [];
  for (const key of name.split(".")) {
    if (!isObject(value)) return null;
    const own = Object.hasOwn(value, key)
      ? key
      : Object.keys(value).find((candidate) => plainName(candidate) === plainName(key));
    if (own === undefined) return null;
    path.push(own);
    value = value[own];
  }
  return typeof value === "string" || typeof value === "number" ? path.join(".") : null;
}

function plainName(name: string): string {
  return name.length > MAX_NAME_CHARACTERS ? name : name.toLowerCase().replace(/[ _-]/g, "");
}

function namesOf(row: Fields): string {
  const names = Object.keys(row).filter((name) => row[name] !== undefined);
  const shown = names.filter((name) => NAME.test(name)).slice(0, MAX_NAMES);
  if (shown.length === 0) return names.length === 0 ? "no field" : "other fields";
  const more = names.length - shown.length;
  return `${shown.map((name) => describeField(name, row[name])).join(", ")}${
    more > 0 ? ` and ${more} more` : ""
  }`;
}

/** A list of objects in a row, or in an object of it, may hold the actual rows. */
function describeField(name: string, value: unknown): string {
  if (isListOfObjects(value)) return `${name} (a list of objects)`;
  const inner = isObject(value)
    ? Object.keys(value).find((key) => NAME.test(key) && isListOfObjects(value[key]))
    : undefined;
  return inner === undefined ? name : `${name}.${inner} (a list of objects)`;
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && isObject(value[0]);
}
