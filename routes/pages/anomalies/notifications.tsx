import { messageOf } from "../../../lib/notifications/message.ts";
import type { Notification, SinkBacklog } from "../../../lib/stores/runs/port.ts";
import { agoColumn, numberColumn, textColumn } from "../../components/columns.tsx";
import { Empty, Section, StoreUnavailable } from "../../components/layout.tsx";
import { Table } from "../../components/table.tsx";
import { tryRead } from "../../http/try_read.ts";
import type { PageRequest } from "../../http/page.ts";

const SHOWN = 20;

/** What each sink of notifications has yet to get, and the newest notifications. */
export async function notifications({ context: { runs, sinks }, url, now }: PageRequest) {
  const { value, error } = await tryRead(() =>
    Promise.all([runs.sinkBacklogs(), runs.notifications({ limit: SHOWN })])
  );
  if (value === null) {
    return (
      <Section title="Notifications">
        <StoreUnavailable what="The run store" error={error} />
      </Section>
    );
  }
  const [backlogs, newest] = value;
  const shown = sinks.map((sink): SinkBacklog =>
    backlogs.find((each) => each.sink === sink) ?? { sink, pending: 0, since: null }
  );
  return (
    <Section id="notifications" title="Notifications" aside="in the order in which sinks get them">
      <Table
        id="sinks"
        caption="Where notifications are sent, and what waits to be sent."
        url={url}
        columns={[
          textColumn<SinkBacklog>("sink", "Sink", ({ sink }) => sink),
          numberColumn<SinkBacklog>("pending", "Pending", ({ pending }) => pending),
          agoColumn<SinkBacklog>("since", "Since", now, ({ since }) => since),
        ]}
        rows={shown}
        empty={
          <Empty>
            No sink is configured: set <code>PARLEY_NOTIFY_WEBHOOK</code>, <code>PARLEY_NOTIFY_SLACK</code> or
            {" "}
            <code>PARLEY_NOTIFY_EMAIL</code>, then try it by <code>deno task pipeline notify</code>.
          </Empty>
        }
      />
      <Table
        id="newest"
        caption="The newest notifications."
        url={url}
        columns={[
          agoColumn<Notification>("at", "At", now, ({ at }) => at),
          textColumn<Notification>("type", "About", ({ type }) => type),
          textColumn<Notification>("title", "What", (each) => messageOf(each).title),
          {
            key: "run",
            head: "Run",
            cell: ({ run_id }) =>
              run_id !== null && <a href={`/runs/${encodeURIComponent(run_id)}`}>{run_id}</a>,
            by: ({ run_id }) => run_id,
          },
        ]}
        rows={newest}
        empty={<Empty>Nothing failed and no deadline was missed so far.</Empty>}
      />
    </Section>
  );
}
