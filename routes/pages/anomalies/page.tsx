import type { Anomalies } from "../../../lib/monitoring/anomalies.ts";
import { type Anomaly, SEVERITIES, type Severity, subjectName } from "../../../lib/monitoring/anomaly.ts";
import { AnomalyTable } from "../../components/anomaly_table.tsx";
import { Empty, Figure, Figures, Section, UnavailableSection } from "../../components/layout.tsx";
import { pageOf, Pages, withQuery } from "../../components/table.tsx";
import { readAnomalies } from "../../api/pipeline.ts";
import type { PageRequest, View } from "../../http/page.ts";
import { AnomalyCard } from "./anomaly_card.tsx";
import { notifications } from "./notifications.tsx";

const PER_PAGE = 50;
const MAX_PAGES = 100;

/** `GET /anomalies?severity=&page=`: open and past anomalies, each with the history that shows it, and notifications. */
export async function anomalies(request: PageRequest): Promise<View> {
  const { value, error } = await readAnomalies({
    ...request.context,
    dags: [...request.context.dags.values()],
  });
  const body = value === null
    ? <UnavailableSection title="Open" what="The run store" error={error} />
    : <AllAnomalies all={value} request={request} />;
  const recent = await notifications(request);
  return {
    title: "Anomalies",
    body: (
      <>
        {body}
        {recent}
      </>
    ),
  };
}

function AllAnomalies({ all, request }: { all: Anomalies; request: PageRequest }) {
  const { url, now, session } = request;
  const severity = SEVERITIES.find((each) => each === url.searchParams.get("severity")) ?? null;
  const isShown = (each: Anomaly) => severity === null || each.severity === severity;
  const [open, past] = [all.open.filter(isShown), all.past.filter(isShown)];
  const page = pageOf(url, MAX_PAGES);
  const none = severity === null ? "No open anomalies." : `No open anomalies of severity ${severity}.`;
  return (
    <>
      <Counts all={all} />
      <SeverityFilter url={url} severity={severity} />
      <Section title="Open" aside="most severe first, then what is acknowledged">
        {open.length === 0
          ? <Empty>{none} Each run from the eighth on is compared with those before it.</Empty>
          : (
            <div class="cards">
              {open.map((each, i) => <AnomalyCard anomaly={each} session={session} now={now} number={i} />)}
            </div>
          )}
      </Section>
      <Section
        id="past-ones"
        title="Past"
        aside={`since ${all.since.slice(0, 10)}; of serving, in the last two hours`}
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
          A run that takes or waits too long, a missing scheduler and a store that does not answer are shown
          only while they last.
        </p>
        <Pages url={url} page={page} max={MAX_PAGES} more={past.length > page * PER_PAGE} />
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

function SeverityFilter({ url, severity }: { url: URL; severity: Severity | null }) {
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
