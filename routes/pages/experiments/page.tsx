import { Empty, Section, UnavailableSection } from "../../components/layout.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { readExperiments } from "../../api/experiments.ts";
import { ExperimentSection, Uplift } from "./parts.tsx";

/** `GET /experiments`: what personal answers are worth by the control share, and each experiment with its verdict. */
export async function experiments({ context, url }: PageRequest): Promise<View> {
  const { value, error } = await readExperiments(context);
  return {
    title: "Experiments",
    body: value === null
      ? <UnavailableSection title="Experiments" what="The analytics store" error={error} />
      : (
        <>
          <Uplift url={url} uplift={value.uplift} />
          {value.experiments.map((report) => <ExperimentSection url={url} report={report} />)}
          {value.experiments.length === 0 && <NoExperiments />}
        </>
      ),
  };
}

function NoExperiments() {
  return (
    <Section title="No experiment">
      <Empty>
        An experiment compares ways of ranking on parts of the users: other weights, sources or diversity.
        {" "}
        <code>PARLEY_EXPERIMENTS</code> names a file of them.
      </Empty>
    </Section>
  );
}
