import { type Anomalies, detectAnomalies } from "../../lib/quality/anomalies.ts";
import { type Anomaly, SEVERITIES, type Severity, subjectName } from "../../lib/quality/anomaly.ts";
import { AnomalyCard } from "../ui/anomaly_card.tsx";
import { AnomalyTable } from "../ui/anomaly_table.tsx";
import { Empty, Figure, Figures, Section } from "../ui/layout.tsx";
import { pageOf, Pages, withQuery } from "../ui/table.tsx";
import { Unread } from "../ui/unread.tsx";
import { answering } from "../health.ts";
import { keep } from "../web/ask.ts";
import type { View, Visit } from "../web/page.ts";

const PER_PAGE = 50;
const MOST_PAGES = 100;

/** `GET /anomalies?severity=&page=`: what is not as it should be, what was not, and the history that shows it. */
export async function anomalies({ site, url, now }: Visit): Promise<View> {
  const { runs, analytics } = site.stores;
  const watched = { runs, analytics, dags: [...site.dags.values()], clock: site.clock };
  const asked = { answering: answering(site.stores), serving: site.serving() };
  const found = await keep(site, "anomalies", () => detectAnomalies({ ...watched, ...asked }));
  const severity = SEVERITIES.find((each) => each === url.searchParams.get("severity")) ?? null;
  return {
    title: "Anomalies",
    body: found.value === null
      ? (
        <Section title="Open">
          <Unread what="The run store" error={found.error} />
        </Section>
      )
      : (
        <Found
          found={only(found.value, severity)}
          all={found.value}
          severity={severity}
          url={url}
          now={now}
        />
      ),
  };
}

function only(all: Anomalies, severity: Severity | null): Anomalies {
  const kept = (each: Anomaly) => severity === null || each.severity === severity;
  return { ...all, open: all.open.filter(kept), past: all.past.filter(kept) };
}

function Found(
  { found: { open, past, since }, all, severity, url, now }: {
    found: Anomalies;
    all: Anomalies;
    severity: Severity | null;
    url: URL;
    now: number;
  },
) {
  const page = pageOf(url, MOST_PAGES);
  const none = severity === null ? "Nothing stands out." : `Nothing ${severity} stands out.`;
  return (
    <>
      <Counts all={all} />
      <Choice url={url} severity={severity} />
      <Section title="Open" aside="most severe first">
        {open.length === 0
          ? <Empty>{none} Runs are judged by those before them, from the eighth on.</Empty>
          : <div class="cards">{open.map((each) => <AnomalyCard anomaly={each} now={now} />)}</div>}
      </Section>
      <Section
        id="past-ones"
        title="Past"
        aside={`since ${since.slice(0, 10)}; of serving, in the last two hours`}
      >
        <AnomalyTable
          id="past"
          caption="What held and no longer does, newest first. Sorting holds within the page."
          url={url}
          now={now}
          anomalies={past.slice((page - 1) * PER_PAGE, page * PER_PAGE)}
          empty={<Empty>Nothing that stood out is over.</Empty>}
        />
        <p class="muted">
          Runs that go on or wait for too long, a silent scheduler and stores that do not answer are told only
          while they are so.
        </p>
        <Pages url={url} page={page} more={past.length > page * PER_PAGE} />
      </Section>
    </>
  );
}

function Counts({ all: { open, past } }: { all: Anomalies }) {
  const of = (severity: Severity) => open.filter((each) => each.severity === severity).length;
  const about = new Set(open.map(({ subject }) => subjectName(subject))).size;
  return (
    <Figures>
      <Figure
        name="Critical"
        value={String(of("critical"))}
        note="somebody must act now"
        tone={of("critical") > 0 ? "bad" : "good"}
      />
      <Figure
        name="Warnings"
        value={String(of("warning"))}
        note="to look at today"
        tone={of("warning") > 0 ? "warn" : "plain"}
      />
      <Figure name="To know" value={String(of("info"))} note="no action asked for" />
      <Figure name="Affected" value={String(about)} note="tasks, stores and measures" />
      <Figure name="Past" value={String(past.length)} note="over by now" />
    </Figures>
  );
}

function Choice({ url, severity }: { url: URL; severity: Severity | null }) {
  return (
    <nav class="choice" aria-label="Severity">
      {[null, ...SEVERITIES].map((each) => (
        <a
          href={withQuery(url, { severity: each, page: null })}
          {...each === severity ? { "aria-current": "true" } : {}}
        >
          {each ?? "all"}
        </a>
      ))}
    </nav>
  );
}
