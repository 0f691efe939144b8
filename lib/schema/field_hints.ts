import type { Kind } from "../core/types.ts";
import { isObject } from "./metadata.ts";

type Fields = Readonly<Record<string, unknown>>;

/** What chat tools, shops and analytics call a field, likeliest first; a dot leads into an object. */
const TIME = [
  "ts",
  "date_unixtime",
  "time",
  "date",
  "datetime",
  "created_at",
  "createdAt",
  "sent_at",
  "occurred_at",
];
const USER = [
  "user",
  "userId",
  "userID",
  "from_id",
  "sender_id",
  "author_id",
  "customer_id",
  "customerId",
  "visitor_id",
];
const PERSON = [
  "author.id",
  "user.id",
  "sender.id",
  "from.id",
  "customer.id",
  "source.author.id",
  "profile.id",
];
const CAMPAIGN = [
  "campaign",
  "campaignId",
  "item_id",
  "itemId",
  "product_id",
  "productId",
  "offer_id",
  "sku",
];
const OTHER_NAMES: Readonly<Record<Kind, Readonly<Record<string, readonly string[]>>>> = {
  messages: {
    user_id: [...USER, ...PERSON, "sender", "from"],
    message: ["text", "content", "body", "msg", "message_text", "utterance", "source.body"],
    timestamp: TIME,
  },
  campaigns: {
    campaign_id: [...CAMPAIGN, "id", "slug"],
    title: ["name", "headline", "label", "campaign_name", "campaign_title"],
  },
  events: {
    user_id: [...USER, ...PERSON],
    campaign_id: CAMPAIGN,
    type: ["event_type", "eventType", "event", "action", "event_name", "interaction"],
    timestamp: ["event_time", ...TIME],
  },
};

/** Only what looks like a name is shown: a key may be text that somebody wrote. */
const NAME = /^[A-Za-z_][\w-]{0,39}$/;
const MAX_NAMES = 12;

/**
 * What a row without some of the needed fields has instead, and which of that may be meant: names of fields, and never what is
 * in them. Null for a row that lacks none.
 */
export function missingFieldsHint(kind: Kind, row: Fields): string | null {
  const missing = Object.keys(OTHER_NAMES[kind]).filter((field) => row[field] === undefined);
  if (missing.length === 0) return null;
  const meant = missing.flatMap((field) => {
    const given = OTHER_NAMES[kind][field]!.find((name) => isGiven(row, name));
    return given === undefined ? [] : [`${given} as ${field}`];
  });
  return [`the row has ${namesOf(row)}`, ...meant.length > 0 ? [`give ${meant.join(", ")}`] : []].join("; ");
}

function isGiven(row: Fields, name: string): boolean {
  const value = name.split(".").reduce<unknown>(
    (at, key) => isObject(at) && Object.hasOwn(at, key) ? at[key] : undefined,
    row,
  );
  return typeof value === "string" || typeof value === "number";
}

function namesOf(row: Fields): string {
  const names = Object.keys(row).filter((name) => row[name] !== undefined);
  const shown = names.filter((name) => NAME.test(name)).slice(0, MAX_NAMES);
  if (shown.length === 0) return names.length === 0 ? "no field" : "other fields";
  const more = names.length - shown.length;
  return `${shown.map((name) => named(name, row[name])).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** A list of objects in a row may be the rows that are meant. */
function named(name: string, value: unknown): string {
  return Array.isArray(value) && isObject(value[0]) ? `${name} (a list of objects)` : name;
}
