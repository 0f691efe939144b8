import { type Anomalies, findAnomalies } from "../../../lib/monitoring/anomalies.ts";
import { type Anomaly, SEVERITIES, type Severity, subjectName } from "../../../lib/monitoring/anomaly.ts";
import { AnomalyCard } from "./anomaly_card.tsx";
import { AnomalyTable } from "../../components/anomaly_table.tsx";
import { Empty, Figure, Figures, Section } from "../../components/layout.tsx";
import { pageOf, Pages, withQuery } from "../../components/table.tsx";
import { StoreUnavailable } from "../../components/store_unavailable.tsx";
import { watched } from "../../api/pipeline.ts";
import { withAcknowledged } from "./data.ts";
import { cachedRead } from "../../http/try_read.ts";
import type { PageRequest, View } from "../../http/page.ts";

const PER_PAGE = 50;
const MAX_PAGES = 100;

/** `GET /anomalies?severity=&page=`: what is not as it should be, what was not, and the history that shows it. */
export async function anomalies(visit: PageRequest): Promise<View> {
  const { site, url } = visit;
  const look = () => findAnomalies(watched({ ...site, dags: [...site.dags.values()] }));
  const found = await withAcknowledged(site, cachedRead(site, "anomalies", look));
  const severity = SEVERITIES.find((each) => each === url.searchParams.get("severity")) ?? null;
  return {
    title: "Anomalies",
    body: found.value === null
      ? (
        <Section title="Open">
          <StoreUnavailable what="The run store" error={found.error} />
        </Section>
      )
      : (
        <Found
          found={only(found.value, severity)}
          all={found.value}
          severity={severity}
          visit={visit}
        />
      ),
  };
}

function only(all: Anomalies, severity: Severity | null): Anomalies {
  const kept = (each: Anomaly) => severity === null || each.severity === severity;
  return { ...all, open: all.open.filter(kept), past: all.past.filter(kept) };
}

function Found(
  { found: { open, past, since }, all, severity, visit }: {
    found: Anomalies;
    all: Anomalies;
    severity: Severity | null;
    visit: PageRequest;
  },
) {
  const { url, now } = visit;
  const page = pageOf(url, MAX_PAGES);
  const none = severity === null ? "No open anomalies." : `No open anomalies of severity ${severity}.`;
  return (
    <>
      <Counts all={all} />
      <Choice url={url} severity={severity} />
      <Section title="Open" aside="most severe first, then what is acknowledged">
        {open.length === 0
          ? <Empty>{none} Runs are judged by those before them, from the eighth on.</Empty>
          : (
            <div class="cards">
              {open.map((each, i) => <AnomalyCard anomaly={each} visit={visit} number={i} />)}
            </div>
          )}
      </Section>
      <Section
        id="past-ones"
        title="Past"
        aside={`since ${since.slice(0, 10)}; of serving, in the last two hours`}
      >
        <AnomalyTable
          id="past"
          caption="What is over, newest first. Sorting holds within the page."
          url={url}
          now={now}
          anomalies={past.slice((page - 1) * PER_PAGE, page * PER_PAGE)}
          empty={<Empty>No past anomalies.</Empty>}
        />
        <p class="muted">
          Runs that take or wait too long, a missing scheduler and stores that do not answer are shown only
          while they last.
        </p>
        <Pages url={url} page={page} most={MAX_PAGES} more={past.length > page * PER_PAGE} />
      </Section>
    </>
  );
}

function Counts({ all: { open, past } }: { all: Anomalies }) {
  const counting = open.filter(({ acknowledged }) => acknowledged === null);
  const of = (severity: Severity) => counting.filter((each) => each.severity === severity).length;
  const about = new Set(open.map(({ subject }) => subjectName(subject))).size;
  return (
    <Figures>
      <Figure
        name="Critical"
        value={String(of("critical"))}
        note="needs action now"
        tone={of("critical") > 0 ? "bad" : "good"}
      />
      <Figure
        name="Warnings"
        value={String(of("warning"))}
        note="to look at today"
        tone={of("warning") > 0 ? "warn" : "plain"}
      />
      <Figure name="For information" value={String(of("info"))} note="needs no action" />
      <Figure
        name="Acknowledged"
        value={String(open.length - counting.length)}
        note="known, and not counted"
      />
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
