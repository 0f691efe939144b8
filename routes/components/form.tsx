import type { Child } from "../../deps.ts";
import { allows } from "../../lib/core/types.ts";
import type { PageRequest } from "../http/page.ts";

/** What a form needs to know of its visit. */
type Shown = Pick<PageRequest, "session">;

/** The token that no other site can know. */
export function Hidden({ visit }: { visit: Shown }) {
  return <input type="hidden" name="csrf" value={visit.session.csrf} />;
}

/** A form that changes something, for those whose key may; others see it off, and why. */
export function Action(
  { visit, to, label, tone = "plain", children }: {
    visit: Shown;
    to: string;
    label: string;
    tone?: "plain" | "main" | "danger" | "small";
    children?: Child;
  },
) {
  const may = allows(visit.session.scopes, "admin");
  const bare = children === undefined || tone === "small";
  return (
    <form method="post" action={to} class={bare ? "action" : "action fields"}>
      <Hidden visit={visit} />
      {children}
      <button
        type="submit"
        {...(tone === "plain" ? {} : { class: tone })}
        disabled={!may}
        {...(may ? {} : { title: "needs a key with the scope admin" })}
      >
        {label}
      </button>
      {tone !== "small" && <NeedsAdmin visit={visit} />}
    </form>
  );
}

/** Says why buttons are off, to those whose key may not use them; small ones in a table share one such line. */
export function NeedsAdmin({ visit }: { visit: Shown }) {
  if (allows(visit.session.scopes, "admin")) return null;
  return (
    <p class="hint">
      This needs a key with the scope <code>admin</code>.
    </p>
  );
}

/** A labelled field, with one line on what goes in. */
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
