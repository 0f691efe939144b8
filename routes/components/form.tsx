import type { Child } from "../../deps.ts";
import { allows } from "../../lib/core/types.ts";
import type { Session } from "../http/session.ts";

/** What a form has to know of the session: its token, and what it may do. */
export type FormSession = Pick<Session, "csrf" | "scopes">;

/** The session's token, which another site cannot know. */
export function CsrfToken({ session }: { session: FormSession }) {
  return <input type="hidden" name="csrf" value={session.csrf} />;
}

/** A form that changes something. Its button is disabled, with the reason, for a session that may not use it. */
export function Action(
  { session, to, label, tone = "plain", children }: {
    session: FormSession;
    to: string;
    label: string;
    tone?: "plain" | "main" | "danger" | "small";
    children?: Child;
  },
) {
  const may = allows(session.scopes, "admin");
  const bare = children === undefined || tone === "small";
  return (
    <form method="post" action={to} class={bare ? "action" : "action fields"}>
      <CsrfToken session={session} />
      {children}
      <button
        type="submit"
        {...(tone === "plain" ? {} : { class: tone })}
        disabled={!may}
        {...(may ? {} : { title: "needs a key with the scope admin" })}
      >
        {label}
      </button>
      {tone !== "small" && <NeedsAdmin session={session} />}
    </form>
  );
}

/** Says why buttons are disabled. The small buttons of a table share one such line. */
export function NeedsAdmin({ session }: { session: FormSession }) {
  if (allows(session.scopes, "admin")) return null;
  return (
    <p class="hint">
      This needs a key with the scope <code>admin</code>.
    </p>
  );
}

/** A field with its label, and a line on what to enter. */
export function Field(
  { id, label, hint, children }: { id: string; label: string; hint?: Child; children?: Child },
) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint !== undefined && <p class="hint" id={`${id}-hint`}>{hint}</p>}
    </div>
  );
}

/** A field that selects one of some values, or "" by the text `all`. */
export function Select(
  { id, label, all, values, selected }: {
    id: string;
    label: string;
    all: string;
    values: readonly string[];
    selected: string | undefined;
  },
) {
  return (
    <Field id={id} label={label}>
      <select id={id} name={id}>
        <option value="">{all}</option>
        {values.map((value) => <option selected={value === selected}>{value}</option>)}
      </select>
    </Field>
  );
}
