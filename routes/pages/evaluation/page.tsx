import { ParleyError } from "../../../lib/core/errors.ts";
import { Empty, Section, UnavailableSection } from "../../components/layout.tsx";
import type { PageRequest, View } from "../../http/page.ts";
import { type Evaluation, readEvaluations } from "./data.ts";
import { Ablation, ByKind, Figures, History, Methods, Weights } from "./parts.tsx";

/** `GET /evaluation?run=RUN`: evaluations side by side, and one of them in detail, by default the newest. */
export async function evaluation({ context, url, now }: PageRequest): Promise<View> {
  const { value, error } = await readEvaluations(context);
  return {
    title: "Evaluation",
    body: value === null
      ? <UnavailableSection title="Evaluation" what="The run store" error={error} />
      : value.length === 0
      ? <NoEvaluations />
      : <Evaluations url={url} all={value} chosen={chosenOf(url, value)} now={now} />,
  };
}

function chosenOf(url: URL, all: readonly Evaluation[]): Evaluation {
  const run_id = url.searchParams.get("run");
  const chosen = run_id === null ? all[0] : all.find((each) => each.run_id === run_id);
  if (chosen !== undefined) return chosen;
  throw new ParleyError("not_found", "there is no evaluation of this run among the newest");
}

function Evaluations(
  { url, all, chosen, now }: { url: URL; all: readonly Evaluation[]; chosen: Evaluation; now: number },
) {
  return (
    <>
      <Figures chosen={chosen} now={now} />
      <History url={url} all={all} chosen={chosen} now={now} />
      <Methods url={url} chosen={chosen} />
      <ByKind url={url} chosen={chosen} />
      <Ablation chosen={chosen} />
      {chosen.chosen_weights.length > 0 && <Weights url={url} chosen={chosen} />}
    </>
  );
}

function NoEvaluations() {
  return (
    <Section title="No evaluation">
      <Empty>
        An evaluation hides some of what users chose, and measures how well answers made of the rest find it.
        {" "}
        <code>deno task pipeline run evaluate</code> makes one, and so does the button of the pipeline{" "}
        <a href="/pipelines/evaluate">evaluate</a>.
      </Empty>
    </Section>
  );
}
