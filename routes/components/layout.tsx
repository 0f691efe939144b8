import type { Child } from "../../deps.ts";

/** A part of a page with a heading of its own. */
export function Section(
  { title, id, aside, children }: { title: string; id?: string; aside?: Child; children?: Child },
) {
  const name = id ?? title.toLowerCase().replace(/\W+/g, "-");
  return (
    <section id={name} aria-labelledby={`${name}-title`}>
      <div class="head">
        <h2 id={`${name}-title`}>{title}</h2>
        {aside !== undefined && <span>{aside}</span>}
      </div>
      {children}
    </section>
  );
}

/** The text in place of an empty list: what that means, and what to do. Commands go into `<code>`. */
export function Empty({ children }: { children?: Child }) {
  return <p class="empty">{children}</p>;
}

/** The text in place of data that could not be read. `error` names the failure and no data. */
export function StoreUnavailable({ what, error }: { what: string; error: string | null }) {
  return (
    <p class="warning" role="note">
      {what} did not answer{error !== null && (
        <>
          {" "}(<code>{error}</code>)
        </>
      )}: <code>deno task doctor</code> says what is down.
    </p>
  );
}

/** A part of a page in place of data that could not be read. */
export function UnavailableSection(
  { title, ...store }: { title: string; what: string; error: string | null },
) {
  return (
    <Section title={title}>
      <StoreUnavailable {...store} />
    </Section>
  );
}

/** A value with its name, and a line that it can be compared with. */
export function Figure(
  { name, value, note, tone = "plain" }: {
    name: string;
    value: Child;
    note?: Child;
    tone?: "plain" | "good" | "bad" | "warn";
  },
) {
  return (
    <div class={`figure tone-${tone}`}>
      <dt>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        {note !== undefined && <span class="note">{note}</span>}
      </dd>
    </div>
  );
}

/** A fact in a list of class `facts`. */
export function Fact({ name, children }: { name: Child; children?: Child }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

export function Figures({ id, children }: { id?: string; children?: Child }) {
  return <dl class="figures" {...id === undefined ? {} : { id }}>{children}</dl>;
}
